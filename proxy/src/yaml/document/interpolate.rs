//! `${NAME}` and `${NAME:-default}` in a configuration's values, from the environment, as in a shell.

/// Fills in the variables of one value. `$${` stands for `${` itself.
///
/// # Errors
/// A variable that has neither value nor default, and a brace that does not close.
pub fn interpolate(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, InterpolationError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = after;
            continue;
        }
        let (inside, after) = after.split_once('}').ok_or(InterpolationError::Unclosed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(InterpolationError::Name(name.to_owned()));
        }
        let value = variable(name).filter(|value| !value.is_empty());
        let value = value.or_else(|| default.map(str::to_owned));
        filled.push_str(before);
        filled.push_str(&value.ok_or_else(|| InterpolationError::Unset(name.to_owned()))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether a value is one variable and nothing else, and so may stand for a number or a truth value too.
pub fn is_one_variable(text: &str) -> bool {
    text.starts_with("${") && text.find('}') == Some(text.len() - 1)
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterpolationError {
    #[error("the environment has no {0:?}; write ${{{0}:-default}} for a value to fall back on, or set it")]
    Unset(String),
    #[error("{0:?} cannot be the name of a variable; write letters, digits and _, or $${{ for a plain ${{")]
    Name(String),
    #[error("a ${{ is not closed; write ${{NAME}}, or $${{ for a plain ${{")]
    Unclosed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, InterpolationError> {
        interpolate(text, |name| match name {
            "HOST" => Some("10.0.0.1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn fills_in_variables_and_defaults() {
        for (text, expected) in [
            ("${HOST}:80", "10.0.0.1:80"),
            ("${HOST:-::1}", "10.0.0.1"),
            ("${PORT:-8080}", "8080"),
            ("${EMPTY:-full}", "full"),
            ("${PORT:-}", ""),
            ("a ${HOST} b ${PORT:-c:-d} e", "a 10.0.0.1 b c:-d e"),
            ("$host and $${HOST} and $$", "$host and ${HOST} and $$"),
            ("", ""),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn does_not_fill_in_what_it_has_filled_in() {
        assert_eq!(interpolate("${A}", |_| Some("${B}".to_owned())).as_deref(), Ok("${B}"));
    }

    #[test]
    fn refuses_what_it_cannot_fill_in() {
        assert_eq!(filled("${PORT}"), Err(InterpolationError::Unset("PORT".to_owned())));
        assert_eq!(filled("${EMPTY}"), Err(InterpolationError::Unset("EMPTY".to_owned())));
        assert_eq!(filled("${PO RT:-1}"), Err(InterpolationError::Name("PO RT".to_owned())));
        assert_eq!(filled("${HOST"), Err(InterpolationError::Unclosed));
    }

    #[test]
    fn tells_a_variable_from_text_with_variables() {
        assert!(is_one_variable("${A}") && is_one_variable("${A:-b}"));
        assert!(!is_one_variable("${A}b") && !is_one_variable("${A}${B}") && !is_one_variable("a"));
    }
}
