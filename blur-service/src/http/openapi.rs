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
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        codec::Wanted,
        detect::{Detail, Sensitivity},
        http::{
            ROUTES,
            form::{OPTIONS_FIELD, PICTURE_FIELDS},
        },
        options::{Options, Profile, Search, Verify},
        redact::{Look, Shape},
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
    fn the_reference_leaves_out_what_no_client_asks_for() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let is_internal = |path: &&String| {
            paths[*path]
                .as_object()
                .unwrap()
                .values()
                .all(|told| told["x-internal"] == true)
        };
        let internal: BTreeSet<_> = paths.keys().filter(is_internal).map(String::as_str).collect();
        let meant = ["/health", "/metrics", "/v1/docs/{file}", "/v1/page/{file}"];
        assert_eq!(internal, BTreeSet::from(meant));
        assert!(include_str!("docs/docs.js").contains("x-internal"));
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
        let schemas = &document["components"]["schemas"];
        for (name, values) in [
            ("detect", values::<Search>()),
            ("detail", values::<Detail>()),
            ("sensitivity", values::<Sensitivity>()),
            ("effect", values::<Look>()),
            ("format", values::<Wanted>()),
            ("shape", values::<Shape>()),
            ("profile", values::<Profile>()),
            ("verify", values::<Verify>()),
        ] {
            assert_eq!(parameters[name]["schema"]["enum"], values);
            for holder in [
                &schemas["Form"],
                &schemas["Options"],
                &schemas["Report"]["properties"]["options"],
            ] {
                assert_eq!(holder["properties"][name]["enum"], values, "{name}");
            }
            let choice = &schemas["Choices"]["properties"][name]["properties"];
            assert_eq!(choice["set"]["enum"], values, "{name}");
            assert_eq!(choice["allowed"]["items"]["enum"], values, "{name}");
        }
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_form_has_the_options_of_the_query_and_the_fields_that_are_read() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let schemas = &document["components"]["schemas"];
        let fields = |schema: &Value| -> BTreeSet<String> {
            schema["properties"].as_object().unwrap().keys().cloned().collect()
        };
        let options: BTreeSet<String> = Options::NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(fields(&schemas["Options"]), options);
        // The other names of the picture are told in words, since a form has one of them.
        let [picture, aliases @ ..] = PICTURE_FIELDS;
        let told = schemas["Form"]["description"].as_str().unwrap();
        assert!(aliases.iter().all(|alias| told.contains(&format!("`{alias}`"))));
        let others = [picture, OPTIONS_FIELD].map(str::to_owned);
        let all: BTreeSet<String> = options.into_iter().chain(others).collect();
        assert_eq!(fields(&schemas["Form"]), all);
        assert_eq!(fields(&schemas["Batch"]), all);
        let multipart = &document["components"]["requestBodies"]["picture"]["content"]["multipart/form-data"];
        assert_eq!(multipart["schema"], json!({ "$ref": "#/components/schemas/Form" }));
    }

    #[test]
    fn the_document_has_every_code_of_a_problem() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let listed = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        // Each arm says `=> (status, "code", "Title")`.
        let source = include_str!("../error.rs");
        let arms = source
            .lines()
            .filter_map(|line| line.split_once("=> (")?.1.split('"').nth(1));
        for code in arms {
            assert!(listed.as_array().unwrap().contains(&json!(code)), "{code}");
        }
    }

    fn values<T: ValueEnum>() -> Value {
        T::value_variants()
            .iter()
            .map(|value| value.to_possible_value().unwrap().get_name().to_owned())
            .collect()
    }
}
