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
        if fields.rate.get() < SLOWEST {
            return Err("rate is less than 1KiB a second, which many clients take for no answer at all");
        }
        Ok(Self(Pace {
            rate: fields.rate.get(),
            after: fields.after.get(),
        }))
    }
}

const SLOWEST: u64 = 1 << 10;

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
