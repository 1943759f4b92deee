//! Texts with variables: Nginx's names of them in Veil's.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::Directive;

/// Nginx's variables that Veil's templates have, and their names there.
const VARIABLES: [(&str, &str); 32] = [
    ("binary_remote_addr", "client_address"),
    ("connection", "connection"),
    ("connection_requests", "connection_requests"),
    ("connection_time", "connection_time"),
    ("connections_active", "connections_active"),
    ("connections_reading", "connections_reading"),
    ("connections_waiting", "connections_waiting"),
    ("connections_writing", "connections_writing"),
    ("content_length", "header_content_length"),
    ("content_type", "header_content_type"),
    ("host", "host"),
    ("http_host", "authority"),
    ("is_args", "target_query_mark"),
    ("realip_remote_addr", "peer_address"),
    ("remote_addr", "client_address"),
    ("remote_port", "client_port"),
    ("remote_user", "user"),
    ("request_id", "request_id"),
    ("request_method", "method"),
    ("request_time", "duration_seconds"),
    ("request_uri", "request_uri"),
    ("scheme", "scheme"),
    ("sent_http_content_type", "answer_type"),
    ("server_port", "server_port"),
    ("server_protocol", "protocol"),
    ("ssl_client_s_dn", "client_subject"),
    ("ssl_protocol", "tls_version"),
    ("ssl_server_name", "server_name"),
    ("ssl_session_reused", "tls_resumed"),
    ("status", "status"),
    ("upstream_addr", "backends"),
    ("upstream_status", "upstream_statuses"),
];

/// What comes before a name of one's own.
const NAMED: [(&str, &str); 3] = [("arg_", "query_"), ("cookie_", "cookie_"), ("http_", "header_")];

/// The variables that a configuration makes itself.
#[derive(Debug, Default)]
pub struct Words {
    /// By `map`, `geo` and `split_clients`.
    pub tables: BTreeSet<String>,
    /// By `set`.
    notes: BTreeSet<String>,
    /// Those that are the same text everywhere, which may have variables.
    constants: BTreeMap<String, Option<String>>,
    /// All texts that each is `set` to.
    settings: BTreeMap<String, BTreeSet<String>>,
    /// By groups of regular expressions.
    captures: BTreeSet<String>,
    /// Of those, the ones that a server has and does not `set` itself, with the server's place: another's `set` is none of its.
    captures_alone: BTreeSet<(String, String)>,
    /// Whether paths are written anew.
    has_targets: bool,
    /// Named locations, and how many servers have one of that name.
    named: BTreeMap<String, usize>,
    /// Of the server that is looked at: its first name.
    pub server_name: String,
    /// Of the same: its place.
    pub server: String,
}

impl Words {
    /// Those of a whole configuration.
    pub fn of(directives: &[Directive]) -> Self {
        let mut words = Self::default();
        words.gather(directives, false);
        words
    }

    fn gather(&mut self, directives: &[Directive], is_conditional: bool) {
        for directive in directives {
            let named = |word: &str| word.trim_start_matches('$').to_owned();
            match (directive.name.as_str(), directive.words.len()) {
                ("map" | "split_clients", _) | ("geo", 2) => drop(self.tables.insert(named(directive.word(1)))),
                ("geo", _) => drop(self.tables.insert(named(directive.word(0)))),
                ("auth_request_set", 2) => drop(self.notes.insert(named(directive.word(0)))),
                ("set", _) => {
                    let (name, value) = (named(directive.word(0)), directive.word(1));
                    self.settings.entry(name.clone()).or_default().insert(value.to_owned());
                    let constant = Some(value.to_owned()).filter(|_| !is_conditional);
                    let one = self.constants.entry(name.clone()).or_insert_with(|| constant.clone());
                    if *one != constant {
                        *one = None;
                    }
                    self.notes.insert(name);
                }
                ("location", 1) if directive.word(0).starts_with('@') => {
                    *self.named.entry(directive.word(0).to_owned()).or_default() += 1;
                }
                ("rewrite" | "try_files" | "error_page", _) => self.has_targets = true,
                _ => {}
            }
            let expressions = directive.texts().chain([directive.name.as_str()]);
            self.captures.extend(expressions.flat_map(groups));
            if directive.name == "server" && directive.block.is_some() {
                self.tell_apart(directive);
            }
            let block = directive.block.as_deref().unwrap_or_default();
            self.gather(block, is_conditional || directive.name == "if");
        }
    }

    fn tell_apart(&mut self, server: &Directive) {
        let mut own = Self::default();
        own.gather(server.block.as_deref().unwrap_or_default(), false);
        let place = server.place.to_string();
        let captures = own.captures.difference(&own.notes);
        self.captures_alone
            .extend(captures.map(|name| (place.clone(), name.clone())));
    }

    /// What the route of a named location is called, which only its own server's know.
    pub fn route(&self, name: &str) -> String {
        match self.named.get(name) {
            Some(servers) if *servers > 1 => format!("{name} ({})", self.server),
            _ => name.to_owned(),
        }
    }

    /// A text for a template of Veil's.
    ///
    /// # Errors
    /// The variable that Veil does not have.
    pub fn template(&self, text: &str) -> Result<String, String> {
        let mut written = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            written.push_str(before);
            let (name, behind) = name(after);
            match name {
                "request" => written.push_str("$method $request_uri $protocol"),
                "server_name" => written.push_str(&self.server_name.replace('$', "$$")),
                _ => {
                    let ours = self.variable(name).ok_or_else(|| format!("${name}"))?;
                    push_variable(&ours, behind, &mut written);
                }
            }
            rest = behind;
        }
        written.push_str(rest);
        Ok(written)
    }

    /// The texts that a variable is `set` to, if that is all it can be.
    pub fn settings(&self, name: &str) -> Option<impl Iterator<Item = &str>> {
        let texts = self.settings.get(name)?;
        let are_plain = !texts.iter().any(|text| has_variables(text) || text.is_empty());
        are_plain.then(|| texts.iter().map(String::as_str))
    }

    /// A text in which variables that are `set` to one text only stand for that, if it is plain.
    pub fn with_constants(&self, text: &str) -> String {
        self.with_texts(text, |text| !has_variables(text))
    }

    /// The same, of texts with variables too, which are what they are where the text is used.
    pub fn with_settings(&self, text: &str) -> String {
        self.with_texts(text, |_| true)
    }

    fn with_texts(&self, text: &str, is_meant: impl Fn(&str) -> bool) -> String {
        let mut written = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            written.push_str(before);
            let (name, behind) = name(after);
            match self.constants.get(name) {
                Some(Some(constant)) if is_meant(constant) => written.push_str(constant),
                _ => {
                    written.push('$');
                    written.push_str(&after[..after.len() - behind.len()]);
                }
            }
            rest = behind;
        }
        written.push_str(rest);
        written
    }

    /// The variables of a `log_format` that are not among these words.
    pub fn unknown_in(&self, text: &str, is_known: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let parts = text.split('$').skip(1).map(|part| name(part).0);
        let unknown = parts.filter(|name| self.own(name).is_none() && !is_known(name));
        unknown.map(str::to_owned).collect()
    }

    /// A text in which a dash stands for these variables.
    pub fn without(text: &str, names: &BTreeSet<String>) -> String {
        let mut written = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            let (name, behind) = name(after);
            written.push_str(before);
            match names.contains(name) {
                true => written.push('-'),
                false => written.extend(["$", &after[..after.len() - behind.len()]]),
            }
            rest = behind;
        }
        written + rest
    }

    /// A `log_format`, whose variables are Nginx's in Veil too, but for those that a configuration makes itself.
    pub fn in_log_format(&self, text: &str) -> String {
        let mut written = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            let (name, behind) = name(after);
            written.push_str(before);
            push_variable(self.own(name).as_deref().unwrap_or(name), behind, &mut written);
            rest = behind;
        }
        written.push_str(rest);
        written
    }

    /// What the configuration makes under this name.
    fn own(&self, name: &str) -> Option<String> {
        let is_captured = || self.captures_alone.contains(&(self.server.clone(), name.to_owned()));
        if self.notes.contains(name) && !is_captured() {
            return Some(format!("note_{name}"));
        }
        self.tables.contains(name).then(|| format!("table_{name}"))
    }

    fn variable(&self, name: &str) -> Option<String> {
        if let Some(own) = self.own(name) {
            return Some(own);
        }
        if self.captures.contains(name) {
            return Some(format!("capture_{name}"));
        }
        match (name, self.has_targets) {
            ("uri" | "document_uri", true) => return Some("target_path".to_owned()),
            ("uri" | "document_uri", false) => return Some("path".to_owned()),
            ("args" | "query_string", true) => return Some("target_query".to_owned()),
            ("args" | "query_string", false) => return Some("query".to_owned()),
            _ => {}
        }
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
}

/// In brackets where the text goes on as a name would.
fn push_variable(name: &str, behind: &str, written: &mut String) {
    match behind.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        true => written.extend(["$(", name, ")"]),
        false => written.extend(["$", name]),
    }
}

/// The names of a regular expression's groups.
fn groups(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split("(?").skip(1);
    let name = |part: &str| {
        let name = part.strip_prefix("P<").or_else(|| part.strip_prefix('<'))?;
        let (name, _) = name.split_once('>')?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then(|| name.to_owned())
    };
    parts.filter_map(name).collect::<Vec<_>>().into_iter()
}

/// Whether a text has variables at all.
pub fn has_variables(text: &str) -> bool {
    text.contains('$')
}

/// The variable's name, in braces or not, and what follows it. One that is a digit is that digit alone.
pub fn name(text: &str) -> (&str, &str) {
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
    #![allow(clippy::unwrap_used)]

    use super::super::syntax::parse;
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
            ("$upstream_addr $is_args", Ok("$backends $target_query_mark")),
            ("$connection", Ok("$connection")),
            ("$pipe", Err("$pipe")),
            ("$request", Ok("$method $request_uri $protocol")),
            ("$", Err("$")),
        ] {
            let ours = ours.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(Words::default().template(text), ours, "{text}");
        }
        assert_eq!(escaped("/a.b/(c)"), r"/a\.b/\(c\)");
    }

    #[test]
    fn what_a_configuration_makes_goes_before() {
        let text =
            "map $host $kind { a b; } geo $net { default x; } server { set $who me; rewrite ^/(?<part>.*) /$part; }";
        let words = Words::of(&parse("x", text).unwrap());
        let template = words.template("$kind$net/$who/$part/$uri?$args");
        let ours = "$table_kind$table_net/$note_who/$capture_part/$target_path?$target_query";
        assert_eq!(template.as_deref(), Ok(ours));
    }

    #[test]
    fn what_is_set_once_is_a_constant() {
        let words = Words::of(&parse("x", "set $a b; set $c d; set $c e; set $f $a; if ($a) { set $g h; }").unwrap());
        assert_eq!(words.with_constants("http://$a:80/${c}$f$g"), "http://b:80/${c}$f$g");
        assert_eq!(words.with_settings("http://$f/$c$g"), "http://$a/$c$g");
        let settings = |name| words.settings(name).map(|texts| texts.collect::<Vec<_>>());
        assert_eq!(
            (settings("c"), settings("f"), settings("x")),
            (Some(vec!["d", "e"]), None, None)
        );
    }
}
