//! YAML that is being written, with comments that say where each part comes from.

use std::fmt::Write;

/// A value of YAML, written on lines of its own where it is a list or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    Scalar(String),
    List(Vec<Draft>),
    Map(Map),
    /// What stands before it as a comment.
    From(String, Box<Draft>),
}

/// Keys in the order in which they were put there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<(String, Draft)>);

impl Map {
    pub fn put(&mut self, key: impl Into<String>, value: impl Into<Draft>) {
        self.0.push((key.into(), value.into()));
    }

    /// Puts a value in the place of another, if there is one.
    pub fn replace(&mut self, key: &str, value: impl Into<Draft>) {
        if let Some((_, found)) = self.0.iter_mut().find(|(name, _)| name == key) {
            *found = value.into();
        }
    }

    /// Puts a value there, in the place of another if there is one.
    pub fn set(&mut self, key: &str, value: impl Into<Draft>) {
        self.0.retain(|(name, _)| name != key);
        self.put(key, value);
    }

    /// Puts a value before all others of a list.
    pub fn put_first_of(&mut self, key: &str, value: Draft) {
        if let Some((_, Draft::List(list))) = self.0.iter_mut().find(|(name, _)| name == key) {
            list.insert(0, value);
        }
    }

    pub fn put_some(&mut self, key: &str, value: Option<impl Into<Draft>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    /// Puts a part there unless it is empty.
    pub fn put_part(&mut self, key: &str, part: Map) {
        if !part.is_empty() {
            self.put(key, part);
        }
    }

    /// Whether something is there under a key, whatever the case of its letters.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
    }

    /// Puts all of another map there.
    pub fn extend(&mut self, other: Map) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn with(mut self, key: &str, value: impl Into<Draft>) -> Self {
        self.put(key, value);
        self
    }
}

impl Map {
    /// A number that is there under a key.
    pub fn number(&self, key: &str) -> Option<u32> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        match value {
            Draft::Scalar(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl Draft {
    /// Adds to the number that a map has under a key, or means where it has none.
    pub fn add(&mut self, key: &str, more: u32, usual: u32) {
        match self {
            Self::Map(map) => {
                let sum = map.number(key).unwrap_or(usual).saturating_add(more);
                match map.has(key) {
                    true => map.replace(key, sum),
                    false => map.put(key, sum),
                }
            }
            Self::From(_, inner) => inner.add(key, more, usual),
            Self::Scalar(_) | Self::List(_) => {}
        }
    }

    /// Whether it is a map in which a key has this value.
    pub fn says(&self, key: &str, value: &str) -> bool {
        match self {
            Self::Map(Map(entries)) => entries
                .iter()
                .any(|(name, said)| name == key && *said == Self::text(value)),
            Self::From(_, inner) => inner.says(key, value),
            Self::Scalar(_) | Self::List(_) => false,
        }
    }

    /// Whether it is a map with this key.
    pub fn is_of(&self, key: &str) -> bool {
        match self {
            Self::Map(map) => map.has(key),
            Self::From(_, inner) => inner.is_of(key),
            Self::Scalar(_) | Self::List(_) => false,
        }
    }

    /// What a map has under a key.
    pub fn of(&self, key: &str) -> Option<Draft> {
        match self {
            Self::Map(Map(entries)) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.clone()),
            Self::From(_, inner) => inner.of(key),
            Self::Scalar(_) | Self::List(_) => None,
        }
    }

    /// Puts a value before all others of a map.
    pub fn put_first(&mut self, key: &str, value: Draft) {
        match self {
            Self::Map(Map(entries)) => entries.insert(0, (key.to_owned(), value)),
            Self::From(_, inner) => inner.put_first(key, value),
            Self::Scalar(_) | Self::List(_) => {}
        }
    }

    /// Changes the map under a key of a map.
    pub fn within(&mut self, key: &str, change: impl FnOnce(&mut Map)) {
        match self {
            Self::Map(Map(entries)) => {
                let found = entries.iter_mut().find(|(name, _)| name == key);
                if let Some((_, Self::Map(map))) = found {
                    change(map);
                }
            }
            Self::From(_, inner) => inner.within(key, change),
            Self::Scalar(_) | Self::List(_) => {}
        }
    }

    /// Says where it comes from.
    pub fn placed_at(self, place: impl ToString) -> Self {
        Self::From(place.to_string(), Box::new(self))
    }

    /// A text; it is quoted where YAML would take it for something else, and holds no placeholder of Veil's.
    pub fn text(text: &str) -> Self {
        if is_plain(text) {
            return Self::Scalar(text.to_owned());
        }
        let quoted = serde_yaml::to_string(&text.replace("${", "$${"));
        Self::Scalar(quoted.map_or_else(|_| format!("{text:?}"), |quoted| quoted.trim_end().to_owned()))
    }
}

impl From<Map> for Draft {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<&str> for Draft {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Draft {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl<T: Into<Draft>> From<Vec<T>> for Draft {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

macro_rules! plain {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Draft {
            fn from(value: $kind) -> Self {
                Self::Scalar(value.to_string())
            }
        })*
    };
}

plain!(
    bool,
    u16,
    u32,
    usize,
    crate::yaml::units::Duration,
    crate::yaml::units::ByteSize
);

/// Whether it is a word or a network that means itself in YAML. A file may have a hundred thousand of them.
fn is_plain(text: &str) -> bool {
    const MEANT: [&str; 11] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
    ];
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !MEANT.iter().any(|meant| text.eq_ignore_ascii_case(meant));
    let is_network = text.contains('/')
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/'));
    is_word || is_network
}

/// The text of a whole file.
pub fn written(map: &Map) -> String {
    let mut text = String::new();
    write_map(map, 0, &mut text);
    text
}

fn write_map(map: &Map, depth: usize, text: &mut String) {
    for (key, value) in &map.0 {
        if depth == 0 && !text.is_empty() {
            text.push('\n');
        }
        let (notes, value) = without_notes(value);
        for note in notes {
            line(depth, &format!("# {note}"), text);
        }
        let key = match Draft::text(key) {
            Draft::Scalar(key) => key,
            _ => key.clone(),
        };
        match value {
            Draft::Scalar(scalar) => line(depth, &format!("{key}: {}", indented(scalar, depth + 1)), text),
            Draft::Map(map) if map.is_empty() => line(depth, &format!("{key}: {{}}"), text),
            Draft::List(list) if list.is_empty() => line(depth, &format!("{key}: []"), text),
            value => {
                line(depth, &format!("{key}:"), text);
                write_block(value, depth + 1, text);
            }
        }
    }
}

fn write_block(value: &Draft, depth: usize, text: &mut String) {
    match value {
        Draft::Map(map) => write_map(map, depth, text),
        Draft::List(list) => list.iter().for_each(|item| write_item(item, depth, text)),
        Draft::Scalar(scalar) => line(depth, scalar, text),
        Draft::From(_, value) => write_block(value, depth, text),
    }
}

fn write_item(item: &Draft, depth: usize, text: &mut String) {
    let (notes, item) = without_notes(item);
    for note in notes {
        line(depth, &format!("# {note}"), text);
    }
    let mut block = String::new();
    match item {
        Draft::Scalar(scalar) => line(depth + 1, &indented(scalar, depth + 1), &mut block),
        item => write_block(item, depth + 1, &mut block),
    }
    // The block's first line that is no comment begins with the item's dash.
    let begin = (depth + 1) * 2;
    text.push_str(&"  ".repeat(depth));
    text.push_str("- ");
    text.push_str(block.get(begin..).unwrap_or("{}\n"));
}

fn without_notes(value: &Draft) -> (Vec<&str>, &Draft) {
    let (mut notes, mut value) = (Vec::new(), value);
    while let Draft::From(note, inner) = value {
        notes.push(note.as_str());
        value = inner;
    }
    (notes, value)
}

/// A text of several lines as YAML wants them inside others.
fn indented(scalar: &str, depth: usize) -> String {
    scalar.replace('\n', &format!("\n{}", "  ".repeat(depth)))
}

fn line(depth: usize, content: &str, text: &mut String) {
    let _ = writeln!(text, "{}{content}", "  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_written_reads_as_what_was_meant() {
        let backend = Map::default().with("address", "[::1]:80").with("weight", 3_u32);
        let texts = vec!["on", "a: b", "${x}", "two\nlines\n", "", " # "];
        let map = Map::default()
            .with("version", 1_u32)
            .with("none", Map::default())
            .with("texts", texts)
            .with("backends", vec![Draft::from(backend).placed_at("nginx.conf:3")]);
        let text = written(&map);
        let read: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read["texts"][0], "on");
        assert_eq!(read["texts"][2], "$${x}");
        assert_eq!(read["texts"][3], "two\nlines\n");
        assert_eq!(read["texts"][5], " # ");
        assert_eq!(read["backends"][0]["address"], "[::1]:80");
        assert_eq!(read["backends"][0]["weight"], 3);
        assert!(
            text.contains("  # nginx.conf:3\n  - address: '[::1]:80'\n    weight: 3\n"),
            "{text}"
        );
    }
}
