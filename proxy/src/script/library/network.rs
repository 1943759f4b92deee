//! Addresses and networks.

use std::net::IpAddr;
use std::sync::Arc;

use rhai::{Array, Engine};

use super::outcome::{Outcome, failure};
use crate::yaml::units::Cidr;

/// Networks, of which an address is in one or not.
#[derive(Clone)]
pub struct Networks(Arc<[Cidr]>);

pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Networks>("Networks")
        .register_fn("cidr", |text: &str| made([text]))
        .register_fn("cidr", |one: &str, other: &str| made([one, other]))
        .register_fn("cidr", |one: &str, other: &str, third: &str| made([one, other, third]))
        .register_fn("cidr", |texts: Array| {
            let texts: Vec<String> = texts.into_iter().map(|text| text.to_string()).collect();
            made(texts.iter().map(String::as_str))
        })
        .register_fn("contains", |networks: &mut Networks, address: &str| {
            let address: Option<IpAddr> = address.parse().ok();
            address.is_some_and(|address| networks.0.iter().any(|network| network.contains(address)))
        });
}

fn made<'a>(texts: impl IntoIterator<Item = &'a str>) -> Outcome<Networks> {
    networks(texts)
        .map(|networks| Networks(networks.into()))
        .map_err(failure)
}

/// # Errors
/// One of them is none.
pub fn networks<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Cidr>, String> {
    texts
        .into_iter()
        .map(|text| {
            text.parse()
                .map_err(|error: crate::yaml::units::UnitError| error.to_string())
        })
        .collect()
}
