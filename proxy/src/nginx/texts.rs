//! Texts with variables: Nginx's names of them in Veil's.

/// Nginx's variables that Veil's templates have, and their names there.
const VARIABLES: [(&str, &str); 16] = [
    ("args", "query"),
    ("binary_remote_addr", "client_address"),
    ("document_uri", "path"),
    ("host", "host"),
    ("http_host", "authority"),
    ("query_string", "query"),
    ("remote_addr", "client_address"),
    ("remote_port", "client_port"),
    ("remote_user", "user"),
    ("request_id", "request_id"),
    ("request_method", "method"),
    ("request_uri", "request_uri"),
    ("scheme", "scheme"),
    ("server_port", "server_port"),
    ("ssl_protocol", "tls_version"),
    ("uri", "path"),
];

/// What comes before a name of one's own.
const NAMED: [(&str, &str); 3] = [("arg_", "query_"), ("cookie_", "cookie_"), ("http_", "header_")];

/// A text for a template of Veil's.
///
/// # Errors
/// The variable that Veil does not have.
pub fn template(text: &str) -> Result<String, String> {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        written.push_str(before);
        let (name, behind) = name(after);
        let ours = variable(name).ok_or_else(|| format!("${name}"))?;
        // In brackets where the text goes on as a name would.
        if behind.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            written.extend(["$(", &ours, ")"]);
        } else {
            written.extend(["$", &ours]);
        }
        rest = behind;
    }
    written.push_str(rest);
    Ok(written)
}

fn variable(name: &str) -> Option<String> {
    if let Some((_, ours)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        return Some((*ours).to_owned());
    }
    if name.len() == 1 && name.starts_with(|c: char| c.is_ascii_digit() && c != '0') {
        return Some(format!("capture_{name}"));
    }
    let named = |(theirs, ours): &(&str, &str)| {
        name.strip_prefix(theirs)
            .filter(|rest| !rest.is_empty())
            .map(|rest| format!("{ours}{rest}"))
    };
    NAMED.iter().find_map(named)
}

/// Whether a text has variables at all.
pub fn has_variables(text: &str) -> bool {
    text.contains('$')
}

/// The variable's name, in braces or not, and what follows it. One that is a digit is that digit alone.
fn name(text: &str) -> (&str, &str) {
    if let Some((name, behind)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        return (name, behind);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.split_at(1);
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A regular expression that takes this text and nothing else.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_get_veils_names() {
        for (text, ours) in [
            ("https://$host$request_uri", Ok("https://$host$request_uri")),
            ("${scheme}s", Ok("$(scheme)s")),
            ("/images/$1", Ok("/images/$capture_1")),
            ("$1$2", Ok("$capture_1$capture_2")),
            (
                "$http_x_user/$arg_id/$cookie_s",
                Ok("$header_x_user/$query_id/$cookie_s"),
            ),
            ("plain", Ok("plain")),
            ("$upstream_addr", Err("$upstream_addr")),
            ("$", Err("$")),
        ] {
            let ours = ours.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(template(text), ours, "{text}");
        }
        assert_eq!(escaped("/a.b/(c)"), r"/a\.b/\(c\)");
    }
}
