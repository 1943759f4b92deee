//! Who may use a route, by the client's address. Nginx: `allow` and `deny`.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::yaml::units::Cidr;

/// `access: { allow: [10.0.0.0/8], deny: [10.6.6.6] }`. Who is denied stays out, whatever else holds; where `allow` is
/// given, everyone whom it does not name stays out too.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "AccessFields")]
#[schemars(with = "AccessFields")]
pub struct Access {
    allow: Option<Vec<Cidr>>,
    deny: Vec<Cidr>,
}

impl Settings for Access {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Access {
    fn on_request(&self, _request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let is_in = |network: &Cidr| ctx.client.is_some_and(|client| network.contains(client));
        let in_any = |networks: &[Cidr]| networks.iter().any(is_in);
        let allowed = self.allow.as_deref().is_none_or(in_any);
        if in_any(&self.deny) || !allowed {
            return Verdict::Refuse(FORBIDDEN);
        }
        Verdict::Continue
    }
}

const FORBIDDEN: Problem = Problem::new(
    http::StatusCode::FORBIDDEN,
    "forbidden",
    "this is not served to your address",
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccessFields {
    allow: Option<Vec<Cidr>>,
    #[serde(default)]
    deny: Vec<Cidr>,
}

impl TryFrom<AccessFields> for Access {
    type Error = &'static str;

    fn try_from(fields: AccessFields) -> Result<Self, Self::Error> {
        if fields.allow.is_none() && fields.deny.is_empty() {
            return Err("says of nobody whether they may come in; write allow: [10.0.0.0/8] or deny: […]");
        }
        Ok(Self {
            allow: fields.allow,
            deny: fields.deny,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn lets_in(access: &Access, client: &str) -> bool {
        matches!(
            access.on_request(&mut request("GET", "/", &[]), &mut ctx(client)),
            Verdict::Continue
        )
    }

    #[test]
    fn lets_in_whom_it_names_and_nobody_else() {
        let access: Access = filter("{ allow: [10.0.0.0/8, 'fd00::/8'], deny: [10.6.6.6] }");
        for client in ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"] {
            assert!(lets_in(&access, client), "{client}");
        }
        for client in ["192.0.2.1", "10.6.6.6", "::ffff:10.6.6.6", "2001:db8::1"] {
            assert!(!lets_in(&access, client), "{client}");
        }
    }

    #[test]
    fn nobody_knows_an_unknown_client() {
        let verdict = |yaml: &str| {
            let mut unknown = RequestCtx {
                client: None,
                ..ctx("10.0.0.1")
            };
            filter::<Access>(yaml).on_request(&mut request("GET", "/", &[]), &mut unknown)
        };
        assert!(matches!(verdict("{ allow: [0.0.0.0/0, '::/0'] }"), Verdict::Refuse(_)));
        assert!(matches!(verdict("{ deny: [192.0.2.1] }"), Verdict::Continue));
    }

    #[test]
    fn with_deny_alone_everyone_else_comes_in() {
        let access: Access = filter("{ deny: [192.0.2.0/24] }");
        assert!(lets_in(&access, "198.51.100.1"));
        assert!(!lets_in(&access, "192.0.2.9"));
    }

    #[test]
    fn allowing_nobody_lets_nobody_in() {
        assert!(!lets_in(&filter("{ allow: [] }"), "192.0.2.1"));
        assert!(serde_yaml::from_str::<Access>("{ deny: [] }").is_err());
    }
}
