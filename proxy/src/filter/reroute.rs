//! Looks for another route, by the path that filters have made. Nginx does so behind `rewrite` without a flag.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::{RequestCtx, jump};

/// `reroute: {}`: where filters before have made another path, the route of that path goes on with the request. With
/// `to: NAME` the route of that name does, and the path stays. Nginx: named locations.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Reroute {
    to: Option<String>,
}

impl Settings for Reroute {
    fn always_answers(&self) -> bool {
        self.to.is_some()
    }

    fn routes(&self) -> Vec<(&'static str, &str)> {
        self.to.iter().map(|to| ("to", to.as_str())).collect()
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Reroute {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        match (&self.to, jump::is_due(request, ctx)) {
            (None, false) => Verdict::Continue,
            (to, _) => Verdict::Reroute(to.as_deref().map(Arc::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::{built, ctx, request};

    #[test]
    fn only_another_path_is_looked_for() {
        let (mut head, mut ctx) = (request("GET", "/a?b", &[]), ctx("192.0.2.1"));
        let mut goes_on = |target: Option<&str>| {
            ctx.notes.target = target.map(Into::into);
            matches!(built::<Reroute>("{}").on_request(&mut head, &mut ctx), Verdict::Continue)
        };
        assert!(goes_on(None));
        assert!(goes_on(Some("/a?c")));
        assert!(!goes_on(Some("/b?b")));
    }
}
