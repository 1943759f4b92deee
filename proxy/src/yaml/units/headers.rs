//! Fields of a head that are sent as they are written.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de};

/// Reads header names and their values.
pub fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(deserializer)?;
    for (name, value) in &headers {
        HeaderName::try_from(name).map_err(|_| de::Error::custom(format!("{name:?} is not a header's name")))?;
        HeaderValue::try_from(value).map_err(|_| de::Error::custom(format!("{value:?} cannot be sent in a header")))?;
    }
    Ok(headers)
}
