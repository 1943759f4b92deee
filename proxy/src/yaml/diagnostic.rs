//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

/// One mistake. Shown as
///
/// ```text
/// conf/veil.yaml:41:13: route "/img" uses pool "imgs", which is not defined
///   help: defined pools are "images", "web"; did you mean "images"?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: String,
    /// Line and column, both from 1; none where the mistake is about the file as a whole.
    pub place: Option<(usize, usize)>,
    pub what: String,
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Says which names there are, and which of them was probably meant: `defined pools are "images", "web"; did you mean
/// "images"?`
pub fn suggest<'a>(what_they_are: &str, written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() {
        return None;
    }
    let listed: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let mut help = format!("{what_they_are} are {}", listed.join(", "));
    if let Some(nearest) = nearest(written, &names) {
        help.push_str(&format!("; did you mean {nearest:?}?"));
    }
    Some(help)
}

/// The name that a slip of the finger could have turned into what was written.
fn nearest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let near = names.iter().copied().filter(|name| is_near(written, name));
    near.max_by(|a, b| strsim::jaro_winkler(written, a).total_cmp(&strsim::jaro_winkler(written, b)))
}

/// Whether one may be a misspelling of the other.
pub fn is_near(written: &str, name: &str) -> bool {
    strsim::jaro_winkler(written, name) >= 0.8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_what_and_help() {
        let diagnostic = Diagnostic {
            file: "conf/veil.yaml".into(),
            place: Some((41, 13)),
            what: r#"route "/img" uses pool "imgs", which is not defined"#.into(),
            help: suggest("defined pools", "imgs", ["images", "web"]),
        };
        let expected = r#"conf/veil.yaml:41:13: route "/img" uses pool "imgs", which is not defined
  help: defined pools are "images", "web"; did you mean "images"?"#;
        assert_eq!(diagnostic.to_string(), expected);
    }

    #[test]
    fn suggests_nothing_far_fetched() {
        assert_eq!(
            suggest("defined pools", "zebra", ["images"]).as_deref(),
            Some(r#"defined pools are "images""#)
        );
        assert_eq!(suggest("defined pools", "zebra", []), None);
    }
}
