//! Remembers texts with the request. Nginx: `set`.

use std::collections::BTreeMap;
use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::expression::{Expression, as_it_is};
use crate::request::variables::Template;

/// `note: { set: { tenant: $header_x_tenant } }`: from then on `$note_tenant` is that, and `noted("tenant")` in conditions.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Names, and what is noted under them, in the order of the names.
    #[serde(default)]
    set: BTreeMap<String, Template>,
    /// A text whose parts are taken first: what the groups of `regex` take of it is `$capture_1`, `$capture_NAME` from then
    /// on.
    of: Option<Template>,
    /// Where it does not match `of`, nothing is noted.
    regex: Option<Expression>,
}

impl Settings for Note {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        match self.of.is_some() == self.regex.is_some() {
            true => Ok(Arc::new(self.clone())),
            false => Err(FilterError("of and regex go together; write both or none".to_owned())),
        }
    }
}

impl Filter for Note {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        if let (Some(of), Some(regex)) = (&self.of, &self.regex) {
            let text = of.bytes(request, ctx);
            let Some(groups) = regex.groups(&String::from_utf8_lossy(&text), as_it_is) else {
                return Verdict::Continue;
            };
            ctx.notes.captures = groups;
        }
        for (name, template) in &self.set {
            let text = template.bytes(request, ctx);
            ctx.notes.note(name, String::from_utf8_lossy(&text));
        }
        Verdict::Continue
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{built, ctx, request};

    #[test]
    fn what_is_noted_can_be_read_again() {
        let mut ctx = ctx("192.0.2.1");
        let mut head = request("GET", "/", &[("x-a", "k=v")]);
        let noted = |yaml: &str, head: &mut _, ctx: &mut RequestCtx| {
            assert!(matches!(built::<Note>(yaml).on_request(head, ctx), Verdict::Continue));
            ctx.notes.noted("a").map(str::to_owned)
        };
        assert_eq!(noted("{ set: { a: 1 $header_x_a } }", &mut head, &mut ctx), Some("1 k=v".into()));
        assert_eq!(noted("{ set: { a: $note_a! } }", &mut head, &mut ctx), Some("1 k=v!".into()));
        let parts = "{ of: $header_x_a, regex: '(.)=(?P<value>.)', set: { a: $capture_value$capture_1 } }";
        assert_eq!(noted(parts, &mut head, &mut ctx), Some("vk".into()));
        let none = "{ of: $header_x_b, regex: '(.)=', set: { a: no } }";
        assert_eq!(noted(none, &mut head, &mut ctx), Some("vk".into()));
    }

    #[test]
    fn a_text_needs_an_expression() {
        let note: Note = serde_yaml::from_str("{ of: $host }").unwrap();
        assert!(note.build(&Workshop::default()).is_err());
    }
}
