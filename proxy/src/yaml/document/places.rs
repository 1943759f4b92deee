//! Line and column of each node of a YAML text.

use std::cell::OnceCell;

use marked_yaml::{LoadError, LoaderOptions, Node, Span};

use super::Step;
use crate::yaml::diagnostic::Diagnostic;

/// Finds places; the tree with the positions is built when there is something to report.
pub struct Places {
    text: String,
    /// None where its parser, which knows no anchors, refuses what serde_yaml reads.
    tree: OnceCell<Option<Node>>,
}

/// What of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Key,
    Value,
}

pub type Place = (usize, usize);

impl Places {
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            tree: OnceCell::new(),
        }
    }

    /// The place of what `path` leads to, or of the nearest node above it that exists.
    pub fn find(&self, path: &[Step], at: At) -> Option<Place> {
        let mut here = self.tree.get_or_init(|| self.tree()).as_ref()?;
        let mut place = Some((1, 1));
        for (depth, step) in path.iter().enumerate() {
            let (key, next) = match (step, here) {
                (Step::Key(key), Node::Mapping(mapping)) => {
                    let Some((name, node)) = mapping.iter().find(|(name, _)| name.as_str() == key) else {
                        break;
                    };
                    (Some(name.span()), node)
                }
                (Step::Index(index), Node::Sequence(items)) => {
                    let Some(node) = items.get(*index) else { break };
                    (None, node)
                }
                _ => break,
            };
            let by_key = at == At::Key && depth + 1 == path.len() || !matches!(next, Node::Scalar(_));
            place = match key {
                // A person looks for the key of a map or list, which starts a line further down.
                Some(key) if by_key => start(key),
                _ => first(next),
            };
            here = next;
        }
        place
    }

    /// Its parser knows no tags either, where one may be meant for something else: `when: !(client in …)`.
    fn tree(&self) -> Option<Node> {
        let untagged = || load(&self.text.replace(": !", ": ~").replace("- !", "- ~"), false);
        load(&self.text, false).or_else(|_| untagged()).ok()
    }

    /// The place of a line and column of the text that a scalar holds, which begins at `start`: after its quotation mark, or
    /// in the lines below `|`, where a scalar begins with its first line. Of a text whose lines are folded, where it begins.
    pub fn within(&self, start: Place, (line, column): Place) -> Place {
        let lines: Vec<&str> = self.text.lines().collect();
        let above = start
            .0
            .checked_sub(2)
            .and_then(|above| lines.get(above))
            .copied()
            .unwrap_or_default();
        let opens_block = above.rsplit_once(": ").is_some_and(|(_, value)| value.starts_with('|'));
        if opens_block && start.1 <= lines[start.0 - 1].len() {
            return (start.0 + line - 1, start.1 + column - 1);
        }
        let first = lines
            .get(start.0 - 1)
            .map_or("", |line| line.get(start.1 - 1..).unwrap_or(""));
        match first.chars().next() {
            _ if line == 1 && column > first.chars().count() + 1 => start,
            Some(quote @ ('"' | '\'')) if line == 1 => {
                (start.0, start.1 + 1 + written_length(&first[1..], quote, column - 1))
            }
            Some(_) if line == 1 => (start.0, start.1 + column - 1),
            _ => start,
        }
    }

    /// What serde_yaml says of a text that it cannot parse.
    pub fn not_yaml(&self, file: &str, error: &serde_yaml::Error) -> Diagnostic {
        let file = file.to_owned();
        if let Err(LoadError::DuplicateKey(twice)) = load(&self.text, true) {
            let what = format!("{:?} is given twice", twice.key.as_str());
            let first = start(twice.prev_key.span()).map(|(line, _)| format!("keep one; the first is in line {line}"));
            return Diagnostic {
                file,
                place: start(twice.key.span()),
                what,
                help: first,
            };
        }
        let place = error.location().map(|location| (location.line(), location.column()));
        let message = error.to_string();
        if message.starts_with("recursion limit exceeded") {
            return self.too_deep(&file, place.unwrap_or((1, 1)));
        }
        let what = match place {
            Some((line, column)) => message.replace(&format!(" at line {line} column {column}"), ""),
            None => message,
        };
        Diagnostic {
            file,
            place,
            what,
            help: place.and_then(|(line, _)| self.usual_slip(line)),
        }
    }

    /// That lists and maps stand in one another deeper than can be read.
    pub fn too_deep(&self, file: &str, place: Place) -> Diagnostic {
        Diagnostic {
            file: file.to_owned(),
            place: Some(place),
            what: "goes deeper into lists and maps than can be read".to_owned(),
            help: Some("close some of the [ and { before, or begin further to the left".to_owned()),
        }
    }

    /// What people often mean where the parser stops in this line.
    fn usual_slip(&self, line: usize) -> Option<String> {
        let here = self.text.lines().take(line).skip(line.saturating_sub(2));
        let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
        let in_flow = |line: &str| {
            line.split("${")
                .next()
                .is_some_and(|before| before.contains(['{', '[']) && before.len() < line.len())
        };
        let mut slips = here.filter_map(|line| match () {
            () if indent(line) => Some("YAML is indented with spaces; there is a tab here"),
            () if in_flow(line) => Some("within { } and [ ] put a variable in quotes: \"${NAME}\""),
            () => None,
        });
        slips.next().map(str::to_owned)
    }
}

/// Columns that so many characters take as they are written between quotation marks.
fn written_length(text: &str, quote: char, characters: usize) -> usize {
    let mut written = text.chars();
    let mut columns = 0;
    for _ in 0..characters {
        let first = written.next();
        columns += 1;
        let is_escape = first == Some('\\') && quote == '"' || first == Some('\'') && quote == '\'';
        if is_escape {
            written.next();
            columns += 1;
        }
    }
    columns
}

fn load(text: &str, refuse_duplicates: bool) -> Result<Node, LoadError> {
    let options = || LoaderOptions::default().error_on_duplicate_keys(refuse_duplicates);
    match marked_yaml::parse_yaml_with_options(0, text, options()) {
        Err(LoadError::TopLevelMustBeMapping(_)) => {
            marked_yaml::parse_yaml_with_options(0, text, options().toplevel_sequence())
        }
        loaded => loaded,
    }
}

/// Where a node begins. The parser lets a map without braces begin at its first colon.
fn first(node: &Node) -> Option<Place> {
    let first_key = node
        .as_mapping()
        .and_then(|mapping| start(mapping.iter().next()?.0.span()));
    start(node.span()).into_iter().chain(first_key).min()
}

fn start(span: &Span) -> Option<Place> {
    span.start().map(|marker| (marker.line(), marker.column()))
}
