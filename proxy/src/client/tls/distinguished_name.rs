//! Whose a certificate is, as text that can be told apart: the part of it that comes last goes first, and what could be taken
//! for a part's end is escaped (RFC 4514). Byte for byte Nginx's `$ssl_client_s_dn`, `openssl x509 -nameopt RFC2253`.

use std::fmt::Write;

use x509_parser::der_parser::asn1_rs::ToDer;
use x509_parser::prelude::{AttributeTypeAndValue, X509Name};

use crate::request::text::hexadecimal;

/// `CN=ada,O=Acme\, Inc.`
pub fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|part| joined(part.iter().map(attribute), "+"))
        .collect();
    joined(parts.into_iter(), ",")
}

/// The last one first.
fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    let mut parts: Vec<String> = parts.collect();
    parts.reverse();
    parts.join(between)
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type().to_id_string();
    let known = KINDS.iter().find(|(id, _)| *id == kind);
    match (known, attribute.as_str()) {
        (Some((_, name)), Ok(value)) => format!("{name}={}", escaped(value)),
        _ => {
            let der = attribute.attr_value().to_der_vec().unwrap_or_default();
            format!(
                "{}=#{}",
                known.map_or(&*kind, |(_, name)| name),
                hexadecimal(&der).to_uppercase()
            )
        }
    }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (place, byte) in value.bytes().enumerate() {
        let is_at_an_end = place == 0 || place + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => text.extend(['\\', char::from(byte)]),
            b'#' if place == 0 => text.push_str("\\#"),
            b' ' if is_at_an_end => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:02X}").expect("a String takes what is written to it"),
        }
    }
    text
}

/// What may stand in a name, and how that is called; the rest is called by its number, with its value in DER.
const KINDS: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
