//! A fixed answer. Nginx: `return 404 "text"`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::headers::Fields;
use super::{Content, Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::variables::Template;

/// `respond: { status: 404, body: "nothing here\n" }`
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    #[serde(deserialize_with = "final_status")]
    #[schemars(with = "u16", range(min = 200, max = 599))]
    /// 444 ends the connection, or the stream of HTTP/2, without an answer.
    status: StatusCode,
    #[serde(default)]
    body: String,
    /// In place of `body`, a text with variables.
    template: Option<Text>,
    /// In place of `body`, a file with it; read with the configuration.
    file: Option<PathBuf>,
    /// Further header fields of the answer.
    #[serde(default)]
    headers: Fields,
    #[serde(default = "plain_text", deserialize_with = "header_value")]
    #[schemars(with = "String")]
    content_type: HeaderValue,
}

/// A text with variables, which may have lines.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "String", extend("examples" = ["$method $path\n"]))]
struct Text(Template);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Template::parse(&text).map(Self).map_err(de::Error::custom)
    }
}

impl Settings for Respond {
    fn guards(&self) -> bool {
        self.status.is_client_error()
    }

    fn always_answers(&self) -> bool {
        true
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        self.file.iter_mut().map(|file| ("file", file)).collect()
    }

    /// Its file may say something else by now.
    fn may_be_kept(&self) -> bool {
        self.file.is_none()
    }

    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let mut built = self.clone();
        if let Some(file) = &self.file {
            let unread = |error| FilterError(format!("{}: {error}", file.display()));
            built.body = fs::read_to_string(file).map_err(unread)?;
        }
        Ok(Arc::new(built))
    }
}

impl Filter for Respond {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let body = match &self.template {
            Some(Text(template)) => Bytes::from(template.bytes(request, ctx)),
            None => Bytes::from(self.body.clone()),
        };
        let length = body.len();
        let mut answer = http::Response::new(Content::from(body));
        *answer.status_mut() = self.status;
        if length > 0 {
            answer
                .headers_mut()
                .insert(header::CONTENT_TYPE, self.content_type.clone());
        }
        for (name, value) in self.headers.iter() {
            if let Some(value) = value.of(request, ctx) {
                answer.headers_mut().insert(name.name.clone(), value);
            }
        }
        if !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            answer
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length.into());
        }
        Verdict::Answer(Box::new(answer))
    }
}

fn plain_text() -> HeaderValue {
    HeaderValue::from_static("text/plain; charset=utf-8")
}

fn final_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
    let status = u16::deserialize(deserializer)?;
    StatusCode::from_u16(status)
        .ok()
        .filter(|_| (200..=599).contains(&status))
        .ok_or_else(|| {
            de::Error::custom(format!(
                "{status} does not end a request; write a status from 200 to 599"
            ))
        })
}

fn header_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderValue, D::Error> {
    let text = String::deserialize(deserializer)?;
    HeaderValue::from_str(&text).map_err(|_| {
        de::Error::custom(format!(
            "{text:?} cannot stand in a header; write visible characters only"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    fn answer(yaml: &str) -> http::Response<Content> {
        match filter::<Respond>(yaml).on_request(&mut request("GET", "/", &[]), &mut ctx("192.0.2.1")) {
            Verdict::Answer(answer) => *answer,
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn answers_with_what_it_was_told() {
        let answer = answer("{ status: 404, body: nothing here }");
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["content-length"], "12");
        assert_eq!(answer.body().length(), 12);
    }

    #[test]
    fn a_text_may_have_variables() {
        let answer = answer(r#"{ status: 200, template: "$method $path of $client_address\n" }"#);
        assert_eq!(answer.headers()["content-length"], "19");
        assert!(matches!(answer.body(), Content::Bytes(bytes) if bytes == "GET / of 192.0.2.1\n"));
    }

    #[test]
    fn it_may_have_fields_and_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        fs::write(&file, "<p>later</p>").unwrap();
        let yaml = format!(
            "{{ status: 503, file: {}, content_type: text/html, headers: {{ Retry-After: '60', X-For: $client_address }} }}",
            file.display()
        );
        let built = filter::<Respond>(&yaml).build(&Workshop::default()).unwrap();
        let Verdict::Answer(answer) = built.on_request(&mut request("GET", "/", &[]), &mut ctx("192.0.2.1")) else {
            panic!("goes on");
        };
        assert!(matches!(answer.body(), Content::Bytes(bytes) if bytes == "<p>later</p>"));
        let fields = answer.headers();
        assert_eq!((&fields["retry-after"], &fields["x-for"], &fields["content-length"]), (&"60".parse().unwrap(), &"192.0.2.1".parse().unwrap(), &12.into()));
        assert!(filter::<Respond>("{ status: 503, file: /nowhere }").build(&Workshop::default()).is_err());
    }

    #[test]
    fn an_answer_without_content_has_no_length() {
        assert!(answer("{ status: 204 }").headers().is_empty());
        assert_eq!(answer("{ status: 200 }").headers()["content-length"], "0");
    }

    #[test]
    fn refuses_what_would_not_end_the_request() {
        for text in [
            "{ status: 101 }",
            "{ status: 99 }",
            "{ status: 600 }",
            "{ status: 200, content_type: \"a\\nb\" }",
        ] {
            assert!(serde_yaml::from_str::<Respond>(text).is_err(), "{text}");
        }
    }
}
