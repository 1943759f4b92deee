//! How fast one answer may go. Nginx: `limit_rate` and `limit_rate_after`.

use std::sync::Arc;

use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::notes::Pace;
use crate::yaml::units::ByteSize;

/// `bandwidth: { rate: 1MiB, after: 10MiB }`: the bytes of each answer's body in a second, from `after` on.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "BandwidthFields")]
#[schemars(with = "BandwidthFields")]
pub struct Bandwidth(Pace);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BandwidthFields {
    /// A second.
    rate: ByteSize,
    /// So much of an answer goes as fast as its client takes it.
    #[serde(default)]
    after: ByteSize,
}

impl TryFrom<BandwidthFields> for Bandwidth {
    type Error = &'static str;

    fn try_from(fields: BandwidthFields) -> Result<Self, Self::Error> {
        if fields.rate.get() == 0 {
            return Err("a rate of nothing is no answer at all; leave the filter out where there is no limit");
        }
        Ok(Self(Pace {
            rate: fields.rate.get(),
            after: fields.after.get(),
        }))
    }
}

impl Settings for Bandwidth {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }
}

impl Filter for Bandwidth {
    fn on_request(&self, _: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        ctx.notes.pace = Some(self.0);
        Verdict::Continue
    }
}
