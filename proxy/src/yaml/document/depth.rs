//! How deep a text goes into lists and maps. The parser's time is in proportion to length times depth, and it refuses what is
//! too deep only when it has read all; the one that knows places calls itself for each. So that is looked at before.

use super::places::Place;

/// Where a text goes deeper than any configuration does.
pub fn too_deep(text: &str) -> Option<Place> {
    in_brackets(text).or_else(|| in_indentation(text))
}

fn in_brackets(text: &str) -> Option<Place> {
    let mut flow = Flow { text, at: 0, depth: 0 };
    let at = flow.find_map(|(at, depth)| (depth > DEEPEST).then_some(at))?;
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some((before.matches('\n').count() + 1, line.chars().count() + 1))
}

/// Each column that a line begins further right is at most a list and a map more.
fn in_indentation(text: &str) -> Option<Place> {
    let far = |line: &str| begins_at(line) >= DEEPEST;
    let line = text.lines().position(far)?;
    Some((line + 1, DEEPEST + 1))
}

/// Columns before what a line says: its spaces, and the `-`, `?` and `:` of which each may begin one more list or map.
fn begins_at(line: &str) -> usize {
    let bytes = line.trim_end().as_bytes();
    let is_space = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_whitespace);
    let leads = |at: &usize| is_space(*at) || b"-?:".contains(&bytes[*at]) && is_space(at + 1);
    (0..bytes.len()).take_while(leads).count()
}

/// Below the parser's own limit nothing is refused here.
const DEEPEST: usize = 256;

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

    use std::iter;

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

    /// A node of block style at random, its lines and how deep it goes, each as far to the left as it may be.
    fn block(next: &mut impl FnMut(usize) -> usize, left: usize) -> (Vec<String>, usize) {
        if left == 0 || next(12) == 0 {
            return (vec!["a".to_owned()], 0);
        }
        let (lines, depth) = block(next, left - 1);
        let below = |first: &str, indent: usize| {
            let rest = lines.iter().map(|line| format!("{:indent$}{line}", ""));
            iter::once(first.to_owned()).chain(rest).collect::<Vec<_>>()
        };
        let beside = |first: &str| {
            let mut all: Vec<String> = below("", first.len()).split_off(1);
            all[0].replace_range(..first.len(), first);
            all
        };
        let lines = match next(4) {
            0 => beside("- "),
            1 => beside("? "),
            2 => below("-", 1),
            _ => below("k:", usize::from(!lines[0].starts_with('-'))),
        };
        (lines, depth + 1)
    }

    #[test]
    fn no_block_is_deeper_than_two_for_each_column() {
        let mut next = chance::below(0x9e37_79b9);
        let mut closest = 0.0_f64;
        for _ in 0..3_000 {
            let (lines, depth) = block(&mut next, 60);
            let text = lines.join("\n");
            serde_yaml::from_str::<serde_yaml::Value>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let furthest = lines.iter().map(|line| begins_at(line) + 1).max().unwrap_or(0);
            assert!(depth <= 2 * furthest, "{depth} and {furthest}: {text}");
            closest = closest.max(depth as f64 / furthest as f64);
        }
        assert!(closest > 1.2, "{closest}");
    }

    #[test]
    fn blocks_may_go_as_deep_as_the_parser_allows() {
        let rows =
            |unit: &str, depth: usize| -> String { (0..depth).map(|at| format!("{:at$}{unit}\n", "")).collect() };
        for unit in ["a:", "-", "?"] {
            assert_eq!(too_deep(&rows(unit, DEEPEST)), None, "{unit}");
            assert_eq!(
                too_deep(&rows(unit, 2 * DEEPEST)),
                Some((DEEPEST + 1, DEEPEST + 1)),
                "{unit}"
            );
        }
        for unit in ["- ", "? ", "- ? ", "-   "] {
            assert_eq!(
                too_deep(&format!("a: 1\nb:\n {}x", unit.repeat(100_000))),
                Some((3, DEEPEST + 1)),
                "{unit}"
            );
        }
        let harmless = format!(
            "a: |\n  {}\n  {} b\n{}\n- -b: --c\n",
            "-".repeat(900),
            "=".repeat(900),
            " ".repeat(900)
        );
        assert_eq!(too_deep(&harmless), None);
    }
}
