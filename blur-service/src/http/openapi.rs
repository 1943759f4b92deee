//! `GET /openapi.json`: what this service answers, for machines. Kept by hand and held to the routes by a test.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

pub(super) async fn openapi() -> Response {
    (
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        DOCUMENT,
    )
        .into_response()
}

const DOCUMENT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use clap::ValueEnum;
    use serde_json::Value;

    use super::*;
    use crate::{
        codec::Wanted,
        detect::{Detail, Sensitivity},
        http::ROUTES,
        options::{Options, Profile, Verify},
        redact::Look,
    };

    #[test]
    fn the_document_describes_exactly_the_routes() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let described: BTreeSet<_> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(move |m| (m.to_uppercase(), path.clone()))
            })
            .collect();
        let answered: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| (route.method.to_owned(), route.path.to_owned()))
            .collect();
        assert_eq!(described, answered);
    }

    #[test]
    fn the_document_has_every_option_with_its_values_and_the_version() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let parameters = document["components"]["parameters"].as_object().unwrap();
        let named: BTreeSet<_> = parameters
            .values()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, Options::NAMES.into_iter().collect());
        assert_eq!(parameters["detail"]["schema"]["enum"], values::<Detail>());
        assert_eq!(parameters["sensitivity"]["schema"]["enum"], values::<Sensitivity>());
        assert_eq!(parameters["effect"]["schema"]["enum"], values::<Look>());
        assert_eq!(parameters["format"]["schema"]["enum"], values::<Wanted>());
        assert_eq!(parameters["profile"]["schema"]["enum"], values::<Profile>());
        assert_eq!(parameters["verify"]["schema"]["enum"], values::<Verify>());
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    fn values<T: ValueEnum>() -> Value {
        T::value_variants()
            .iter()
            .map(|value| value.to_possible_value().unwrap().get_name().to_owned())
            .collect()
    }
}
