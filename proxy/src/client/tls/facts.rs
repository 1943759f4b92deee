//! What a certificate says of itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::distinguished_name;
use crate::request::text::hexadecimal;

/// Of a certificate, whoever's it is.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The hosts that it is for, in lower case; those of its SAN, or its common name where it has none.
    pub names: Vec<String>,
    /// It has no SAN.
    pub is_by_common_name: bool,
    /// `CN=…,O=…`, as RFC 4514 writes it.
    pub subject: String,
    /// When it begins to hold, and when it ceases to.
    pub from: SystemTime,
    pub until: SystemTime,
}

/// None where it cannot be read.
pub fn facts(der: &[u8]) -> Option<Facts> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let is_by_common_name = alternatives.is_none();
    let alternatives = alternatives.iter().flat_map(|names| &names.value.general_names);
    let mut names: Vec<String> = alternatives
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        let common = certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    let validity = certificate.validity();
    let moment = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    Some(Facts {
        names,
        is_by_common_name,
        subject: distinguished_name::text(certificate.subject()),
        from: moment(validity.not_before.timestamp()),
        until: moment(validity.not_after.timestamp()),
    })
}

/// Its key, as it holds it.
pub fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}

/// SHA-256, in hexadecimal digits.
pub fn fingerprint(der: &[u8]) -> String {
    hexadecimal(digest(&SHA256, der).as_ref())
}
