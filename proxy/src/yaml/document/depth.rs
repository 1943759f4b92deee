//! How deep a text goes into `[` and `{`. The parser's time is in proportion to length times depth, and it refuses what is too
//! deep only when it has read all; so that is looked at before.

use super::places::Place;

/// Where a text goes deeper than any configuration does.
pub fn too_deep(text: &str) -> Option<Place> {
    let mut flow = Flow { text, at: 0, depth: 0 };
    let at = flow.find_map(|(at, depth)| (depth > DEEPEST).then_some(at))?;
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some((before.matches('\n').count() + 1, line.chars().count() + 1))
}

/// Below the parser's own limit nothing is refused here.
pub const DEEPEST: usize = 256;

/// The places of `[` and `{` where a node may begin, and how deep it is in them. Text in quotation marks and comments is passed
/// over. In what begins with `|` or `>` there may be some that are none, but hardly so many more than close again.
struct Flow<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Iterator for Flow<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            let at = self.at;
            self.at += 1;
            let before = at.checked_sub(1).map_or(b'\n', |before| bytes[before]);
            let may_begin = before.is_ascii_whitespace() || b"[{,:".contains(&before);
            match byte {
                b'[' | b'{' if may_begin => {
                    self.depth += 1;
                    return Some((at, self.depth));
                }
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                b'"' | b'\'' if may_begin => self.at = after_quoted(bytes, at),
                b'#' if may_begin => self.at = after_line(bytes, at),
                _ => {}
            }
        }
        None
    }
}

fn after_quoted(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' if quote == b'"' => 2,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&quote) => 2,
            byte if *byte == quote => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn after_line(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at..].iter().position(|byte| *byte == b'\n');
    length.map_or(bytes.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::chance;

    /// A node of flow style at random, and how deep it goes. Its texts hold what looks like more.
    fn node(next: &mut impl FnMut(usize) -> usize, left: usize) -> (String, usize) {
        const TEXTS: [&str; 8] = [
            "a",
            "'[['",
            "\"{\\\"[\"",
            "it's",
            "'it''s ['",
            "# ]]\n 1",
            "a\"b",
            "a#b",
        ];
        if left == 0 || next(4) == 0 {
            return (TEXTS[next(TEXTS.len())].to_owned(), 0);
        }
        let (children, depths): (Vec<_>, Vec<_>) = (0..next(3)).map(|_| node(next, left - 1)).unzip();
        let depth = 1 + depths.into_iter().max().unwrap_or(0);
        match next(2) {
            0 => (format!("[{}]", children.join(", ")), depth),
            _ => {
                let entries = children
                    .iter()
                    .enumerate()
                    .map(|(number, child)| format!("k{number}: {child}"));
                (format!("{{{}}}", entries.collect::<Vec<_>>().join(",\n ")), depth)
            }
        }
    }

    fn depth_of(value: &serde_yaml::Value) -> usize {
        match value {
            serde_yaml::Value::Sequence(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            serde_yaml::Value::Mapping(items) => 1 + items.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    #[test]
    fn it_is_as_deep_as_the_parser_finds_it() {
        let mut next = chance::below(0x2545_f491);
        let mut deepest = 0;
        for _ in 0..5_000 {
            let (text, depth) = node(&mut next, 9);
            let read: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(depth_of(&read), depth, "{text}");
            let found = Flow {
                text: &text,
                at: 0,
                depth: 0,
            }
            .map(|(_, depth)| depth)
            .max()
            .unwrap_or(0);
            assert_eq!(found, depth, "{text}");
            deepest = deepest.max(depth);
        }
        assert!(deepest > 6, "{deepest}");
    }

    #[test]
    fn only_what_no_configuration_is_is_too_deep() {
        let nested = |depth: usize| format!("a: b\nc: {}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(too_deep(&nested(DEEPEST)), None);
        assert_eq!(too_deep(&nested(DEEPEST + 1)), Some((2, 4 + DEEPEST)));
        assert_eq!(too_deep(&"['[', # ]\n{a: ".repeat(DEEPEST)), Some((DEEPEST / 2 + 1, 5)));
        let scripts = "- script: |\n    fn f() { [1, { x }].len }\n  path_regex: '^/[a-z]{2}\\['\n  when: a[0] [\n"
            .repeat(DEEPEST);
        assert_eq!(too_deep(&scripts), None);
    }
}
