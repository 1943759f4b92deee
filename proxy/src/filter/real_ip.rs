//! Who asks, where proxies in front tell of it in a way of this route's. Nginx: `real_ip_header`, `real_ip_recursive` of a location.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::client::forwarded::client_in;
use crate::request::RequestCtx;
use crate::yaml::units::Cidr;

/// `real_ip: { from: [10.0.0.0/8], field: CF-Connecting-IP }`: the client's address, for what comes behind it and for logs. Where
/// the listener has been told of another one already, that stays; and a field that it does not let strangers say is not there.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RealIp {
    /// The proxies that are believed.
    from: Vec<Cidr>,
    #[serde(default = "usual", deserialize_with = "name")]
    #[schemars(with = "String")]
    field: HeaderName,
    /// The last address in it that is none of theirs; else the last one.
    #[serde(default = "yes")]
    recursive: bool,
}

impl Settings for RealIp {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for RealIp {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let peer = ctx.peer.ip();
        if ctx.client == Some(peer) {
            let has_asked = Cell::new(false);
            let is_trusted = |address: IpAddr| {
                let is_peer = !has_asked.replace(true);
                (is_peer || self.recursive) && self.from.iter().any(|network| network.contains(address))
            };
            ctx.client = client_in(&self.field, peer, request, is_trusted);
        }
        Verdict::Continue
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    let text = String::deserialize(deserializer)?;
    HeaderName::try_from(text.as_str()).map_err(|_| de::Error::custom(format!("{text:?} is no name of a field")))
}

fn usual() -> HeaderName {
    HeaderName::from_static("x-forwarded-for")
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn told(settings: &str, field: &'static str, value: &'static str) -> String {
        let real_ip: RealIp = filter(settings);
        let (mut head, mut ctx) = (request("GET", "/", &[(field, value)]), ctx("10.0.0.1"));
        real_ip.on_request(&mut head, &mut ctx);
        ctx.client.map_or_else(String::new, |client| client.to_string())
    }

    #[test]
    fn a_field_of_its_own_tells_who_asks() {
        let list = "192.0.2.9, 192.0.2.1, 10.0.0.7";
        for (settings, field, value, is) in [
            ("{ from: [10.0.0.0/8], field: X-Custom }", "x-custom", "192.0.2.1", "192.0.2.1"),
            ("{ from: [10.0.0.0/8], field: X-Custom }", "x-other", "192.0.2.1", "10.0.0.1"),
            ("{ from: [10.0.0.0/8] }", "x-forwarded-for", list, "192.0.2.1"),
            ("{ from: [10.0.0.0/8], recursive: false }", "x-forwarded-for", list, "10.0.0.7"),
            ("{ from: [10.9.0.0/16] }", "x-forwarded-for", list, "10.0.0.1"),
            ("{ from: [10.0.0.0/8] }", "x-forwarded-for", "unknown", ""),
        ] {
            assert_eq!(told(settings, field, value), is, "{settings} {value}");
        }
    }
}
