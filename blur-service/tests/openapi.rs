//! What is answered is what the OpenAPI document says: every field, every header, and no other.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Answer, Server, exif, jpeg, portrait, segment};
use serde_json::{Value, json};

#[test]
fn answers_have_exactly_the_fields_and_headers_of_the_document() {
    let server = Server::start(&["--detail", "fast", "--allow-exclude"]);
    let document = server.send("GET", "/openapi.json", &[], b"").json();
    let mut file = jpeg(&portrait());
    file.splice(2..2, segment(0xe1, &exif(6)));
    let post = |path: &str| server.send("POST", path, &[], &file);
    for (path, query) in [
        ("/v1/blur", "?regions=1,2,30,40"),
        ("/v1/blur/report", "?regions=1,2,30,40&exclude=0"),
        ("/v1/blur/report", "?verify=whole&effect=solid"),
        ("/v1/detect", ""),
        ("/v1/blur", "?efect=solid"),
        ("/v1/blur", "?regions=9000,0,1,1"),
        ("/v1/detect", "?exclude=0"),
        ("/v1/blur/batch", ""),
    ] {
        conforms(&document, path, "post", &post(&format!("{path}{query}")));
    }
    for path in ["/v1/options", "/health", "/metrics", "/openapi.json", "/docs", "/"] {
        conforms(&document, path, "get", &server.send("GET", path, &[], b""));
    }
    for file in ["main.js", "style.css", "look-solid.webp", "nothing.js"] {
        let answer = server.send("GET", &format!("/v1/page/{file}"), &[], b"");
        conforms(&document, "/v1/page/{file}", "get", &answer);
    }
    for file in ["docs.js", "docs.css", "blur.py", "nothing"] {
        let answer = server.send("GET", &format!("/v1/docs/{file}"), &[], b"");
        conforms(&document, "/v1/docs/{file}", "get", &answer);
    }
    for code in ["no_backend", "nothing"] {
        let answer = server.send("GET", &format!("/v1/problems/{code}"), &[], b"");
        conforms(&document, "/v1/problems/{code}", "get", &answer);
    }
}

/// A call's answer, held against what the document says of it.
fn conforms(document: &Value, path: &str, method: &str, answer: &Answer) {
    let responses = &document["paths"][path][method]["responses"];
    let status = answer.status.to_string();
    let described = responses
        .get(&status)
        .or_else(|| responses.get("default"))
        .unwrap_or_else(|| panic!("{path} {status}"));
    let described = resolved(document, described);
    if let Some(headers) = described.get("headers") {
        let mut named: Vec<String> = headers
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_lowercase())
            .collect();
        named.sort();
        let own =
            |name: &&String| name.starts_with("x-") && *name != "x-content-type-options" || *name == "server-timing";
        let mut sent: Vec<String> = answer.headers.keys().filter(own).cloned().collect();
        sent.sort();
        assert_eq!(named, sent, "{path} {status}");
    }
    let media_type = answer.headers["content-type"].split(';').next().unwrap();
    let content = &described["content"][media_type];
    assert!(content.is_object(), "{path} {status}: {media_type}");
    if media_type.ends_with("json") && path != "/openapi.json" {
        fits(document, &content["schema"], &answer.json(), path);
    }
}

/// Stricter than JSON Schema: a field that the schema does not have is a mistake also where it would allow any.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolved(document, schema);
    if let Some(kinds) = schema["oneOf"].as_array() {
        let kind = kinds.iter().find(|kind| (kind["type"] == "null") == value.is_null());
        return fits(document, kind.unwrap(), value, at);
    }
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value}");
    }
    if let Some(constant) = schema.get("const") {
        assert_eq!(constant, value, "{at}");
    }
    match value {
        Value::Object(members) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(required.as_str().unwrap()), "{at}: no {required}");
            }
            for (name, value) in members {
                let at = format!("{at}.{name}");
                let names = &schema["propertyNames"];
                if names.is_object() {
                    fits(document, names, &json!(name), &at);
                }
                let member = schema["properties"]
                    .get(name)
                    .or_else(|| schema.get("additionalProperties"));
                fits(
                    document,
                    member.unwrap_or_else(|| panic!("{at} is not described")),
                    value,
                    &at,
                );
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fits(document, &schema["items"], item, at)),
        Value::String(_) => assert!(
            schema["type"] == "string" || schema["enum"].is_array() || schema.get("const").is_some(),
            "{at}"
        ),
        Value::Number(number) => {
            let integer = number.is_u64() || number.is_i64();
            assert!(
                schema["type"] == "number" || (schema["type"] == "integer" && integer),
                "{at}: {number}"
            );
        }
        Value::Bool(_) => assert_eq!(schema["type"], "boolean", "{at}"),
        Value::Null => assert_eq!(schema["type"], "null", "{at}"),
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(name) => resolved(document, document.pointer(name.trim_start_matches('#')).unwrap()),
        None => value,
    }
}
