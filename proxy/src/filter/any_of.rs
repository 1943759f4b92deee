//! Lets a request in if one of several filters does. Nginx: `satisfy any`.

use std::path::PathBuf;
use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Filter, FilterConfig, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;

/// `any_of: [{ access: { allow: [10.0.0.0/8] } }, { basic_auth: { file: htpasswd } }]`: asks one after the other until one lets
/// the request in. Whom none lets in gets the last refusal, or the one that says how to prove who one is.
#[derive(Clone, Debug, JsonSchema, PartialEq)]
#[schemars(with = "Vec<FilterConfig>")]
pub struct AnyOf(Vec<FilterConfig>);

impl<'de> Deserialize<'de> for AnyOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let filters = Vec::<FilterConfig>::deserialize(deserializer)?;
        match filters.iter().find(|filter| !filter.guards()) {
            _ if filters.is_empty() => Err(de::Error::custom("any_of nothing lets nobody in; write a filter, such as access")),
            Some(other) => Err(de::Error::custom(format!(
                "{} does not say who may come in; write access, basic_auth or another that does",
                other.name()
            ))),
            None => Ok(Self(filters)),
        }
    }
}

impl Settings for AnyOf {
    fn guards(&self) -> bool {
        true
    }

    fn build(&self, workshop: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let filters: Result<_, _> = self.0.iter().map(|filter| filter.build(workshop)).collect();
        Ok(Arc::new(Doors(filters?)))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        self.0.iter_mut().flat_map(FilterConfig::files).collect()
    }

    fn pools(&self) -> Vec<(&'static str, &str)> {
        self.0.iter().flat_map(FilterConfig::pools).collect()
    }
}

struct Doors(Vec<Arc<dyn Filter>>);

impl Filter for Doors {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let mut asked = Vec::with_capacity(self.0.len());
        for filter in &self.0 {
            match filter.on_request(request, ctx) {
                let_in @ (Verdict::Continue | Verdict::Amend(_)) => return let_in,
                verdict => asked.push(verdict),
            }
        }
        Verdict::Later(Box::pin(first_that_lets_in(asked)))
    }
}

async fn first_that_lets_in(asked: Vec<Verdict>) -> Verdict {
    let mut kept_out = Verdict::Continue;
    for verdict in asked {
        let verdict = verdict.settled().await.into();
        match verdict {
            Verdict::Continue | Verdict::Amend(_) => return verdict,
            Verdict::Refuse(_) | Verdict::Explain(..) if matches!(kept_out, Verdict::Challenge(..)) => {}
            _ => kept_out = verdict,
        }
    }
    kept_out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Settled;
    use super::*;
    use crate::filter::testing::{built, ctx, request};

    #[tokio::test]
    async fn one_that_lets_in_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        std::fs::write(&file, format!("ada:{{PLAIN}}one\nbob:{}\n", bcrypt::hash("two", 4).unwrap())).unwrap();
        let network = "{ access: { allow: [10.0.0.0/8] } }";
        let users = format!("{{ basic_auth: {{ file: {} }} }}", file.display());
        for yaml in [format!("[{network}, {users}]"), format!("[{users}, {network}]")] {
            let doors = built::<AnyOf>(&yaml);
            for (client, authorization, status) in [
                ("10.0.0.1", "", 0),
                ("192.0.2.1", "Basic YWRhOm9uZQ==", 0),
                ("192.0.2.1", "Basic Ym9iOnR3bw==", 0),
                ("10.0.0.1", "Basic YWRhOnR3bw==", 0),
                ("192.0.2.1", "Basic YWRhOnR3bw==", 401),
                ("192.0.2.1", "", 401),
            ] {
                let mut request = request("GET", "/", &[("authorization", authorization)]);
                let settled = doors.on_request(&mut request, &mut ctx(client)).settled().await;
                let got = match settled {
                    Settled::Continue | Settled::Amend(_) => 0,
                    Settled::Refuse(problem, besides) => {
                        assert!(besides.field.is_some());
                        problem.status.as_u16()
                    }
                    _ => 1,
                };
                assert_eq!(got, status, "{yaml} {client} {authorization}");
            }
        }
        let shut = built::<AnyOf>("[{ access: { deny: [0.0.0.0/0] } }]");
        let settled = shut.on_request(&mut request("GET", "/", &[]), &mut ctx("192.0.2.1")).settled().await;
        assert!(matches!(settled, Settled::Refuse(problem, besides) if problem.status == 403 && besides.field.is_none()));
    }

    #[test]
    fn only_who_says_who_may_come_in_is_asked() {
        for yaml in ["[]", "[{ respond: { status: 200 } }]", "[{ nothing: {} }]", "{ access: {} }"] {
            assert!(serde_yaml::from_str::<AnyOf>(yaml).is_err(), "{yaml}");
        }
    }
}
