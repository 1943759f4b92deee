//! A page of one's own in the place of an error's answer, Veil's own answers included. Nginx: `error_page`, with
//! `proxy_intercept_errors`.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::answer::DIGESTS;
use super::media_type::{of_name, wants_page};
use super::watched::Watched;
use super::{BodyChange, Filter, FilterError, Instead, Settings, Workshop};
use crate::request::RequestCtx;
use crate::request::variables::Template;

/// `error_page: { status: [404, 5xx], file: error.html }`. Who would see a page gets it; programs get what they got: the
/// backend's answer, or Veil's problem document.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "ErrorPageFields")]
#[schemars(with = "ErrorPageFields")]
pub struct ErrorPage {
    status: Vec<Statuses>,
    source: Source,
    content_type: Option<String>,
    answer_with: Option<StatusCode>,
    own_status: bool,
    intercept: bool,
    everybody: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Source {
    /// Another route of the same host, by a path.
    To(Template),
    Route(String),
    /// Somewhere else altogether.
    Redirect(Template),
    Body(Template),
    File(PathBuf),
    /// A file with variables in it.
    Template(PathBuf),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ErrorPageFields {
    /// `404`, or `5xx` for all of them; 497 is plain HTTP at a listener that speaks TLS, which is a 400 otherwise.
    status: Vec<Statuses>,
    /// The page itself, with variables.
    body: Option<String>,
    /// The page as it is.
    file: Option<PathBuf>,
    /// A file with variables in it, such as `$status`, `$reason` and `$request_id`; a dollar sign is `$$`.
    template: Option<PathBuf>,
    /// A path: the route that it leads to answers in place of this one, and the client gets that with the error's status.
    to: Option<String>,
    /// The name of a route that answers in place of this one.
    route: Option<String>,
    /// A URL that the client is sent to, with 302 or what `answer_with` says.
    redirect: Option<String>,
    /// With the status that the other route answers with.
    #[serde(default)]
    own_status: bool,
    /// The other route answers in place of backends' answers too, not only of Veil's own. Nginx: `proxy_intercept_errors`.
    #[serde(default)]
    intercept: bool,
    /// What the page is; what its file's name says, or HTML, unless given.
    content_type: Option<String>,
    /// Another status for the answer.
    answer_with: Option<u16>,
    /// Programs get it too.
    #[serde(default)]
    everybody: bool,
}

impl TryFrom<ErrorPageFields> for ErrorPage {
    type Error = String;

    fn try_from(fields: ErrorPageFields) -> Result<Self, String> {
        let (body, file, template) = (fields.body, fields.file, fields.template);
        let source = match (body, file, template, fields.to, fields.route, fields.redirect) {
            (Some(body), None, None, None, None, None) => Source::Body(Template::parse(&body)?),
            (None, Some(file), None, None, None, None) => Source::File(file),
            (None, None, Some(file), None, None, None) => Source::Template(file),
            (None, None, None, Some(to), None, None) if to.starts_with('/') => Source::To(Template::parse(&to)?),
            (None, None, None, Some(to), None, None) => return Err(format!("to: {to:?} is no path; write /{to}")),
            (None, None, None, None, Some(route), None) => Source::Route(route),
            (None, None, None, None, None, Some(url)) => Source::Redirect(Template::parse(&url)?),
            _ => return Err("write one of body, file, template, to, route and redirect".to_owned()),
        };
        if fields.status.is_empty() {
            return Err("status names none; write status: [404, 5xx]".to_owned());
        }
        let content_type = fields.content_type;
        if content_type.as_ref().is_some_and(|text| HeaderValue::try_from(text).is_err()) {
            return Err("content_type cannot stand in a header".to_owned());
        }
        let status = |number: u16| {
            let status = StatusCode::from_u16(number).ok().filter(|_| (200..=599).contains(&number) && number != 204 && number != 304);
            status.ok_or_else(|| format!("answer_with: {number} does not carry a page; write a status from 200 to 599"))
        };
        Ok(Self {
            status: fields.status,
            source,
            content_type,
            answer_with: fields.answer_with.map(status).transpose()?,
            own_status: fields.own_status,
            intercept: fields.intercept,
            everybody: fields.everybody,
        })
    }
}

/// `404`, or `5xx` for all from 500 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "StatusesText")]
struct Statuses {
    first: u16,
    last: u16,
}

/// As the schema knows it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is for the schema alone")]
enum StatusesText {
    One(u16),
    All(#[schemars(extend("pattern" = "^[345]xx$"))] String),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_yaml::Value::deserialize(deserializer)?;
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        let range = match (number, value.as_str()) {
            (Some(number), _) => Some((number, number)),
            (None, Some("3xx")) => Some((300, 399)),
            (None, Some("4xx")) => Some((400, 499)),
            (None, Some("5xx")) => Some((500, 599)),
            _ => None,
        };
        let has_page = |(first, last): &(u16, u16)| (300..=599).contains(first) && (*first, *last) != (304, 304);
        let (first, last) = range.filter(has_page).ok_or_else(|| {
            let text = serde_yaml::to_string(&value).unwrap_or_default();
            de::Error::custom(format!(
                "{} is no status that a page could be for; write 404, or 5xx for all of them",
                text.trim()
            ))
        })?;
        Ok(Self { first, last })
    }
}

impl Settings for ErrorPage {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let page = match &self.source {
            Source::Body(template) => Page::Here(template.clone()),
            Source::File(file) => Page::File(Watched::open(file, |text| Ok(Bytes::from(text.to_owned())))?),
            Source::Template(file) => Page::Template(Watched::open(file, Template::parse)?),
            Source::To(template) => Page::Path(template.clone()),
            Source::Route(name) => Page::Route(name.as_str().into()),
            Source::Redirect(url) => Page::Elsewhere(url.clone()),
        };
        let own = match &self.source {
            Source::Body(_) | Source::To(_) | Source::Route(_) | Source::Redirect(_) => "text/html; charset=utf-8",
            Source::File(file) | Source::Template(file) => of_name(&file.to_string_lossy()),
        };
        let content_type = self.content_type.as_deref().unwrap_or(own);
        Ok(Arc::new(Replacement {
            settings: self.clone(),
            content_type: HeaderValue::try_from(content_type).map_err(|error| FilterError(error.to_string()))?,
            is_html: content_type.starts_with("text/html") || content_type.contains("xml"),
            page,
        }))
    }

    fn routes(&self) -> Vec<(&'static str, &str)> {
        match &self.source {
            Source::Route(name) => vec![("route", name)],
            _ => Vec::new(),
        }
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        match &mut self.source {
            Source::Body(_) | Source::To(_) | Source::Route(_) | Source::Redirect(_) => Vec::new(),
            Source::File(file) => vec![("file", file)],
            Source::Template(file) => vec![("template", file)],
        }
    }
}

struct Replacement {
    settings: ErrorPage,
    content_type: HeaderValue,
    is_html: bool,
    page: Page,
}

enum Page {
    Here(Template),
    File(Watched<Bytes>),
    Template(Watched<Template>),
    Path(Template),
    Route(Arc<str>),
    Elsewhere(Template),
}

impl Filter for Replacement {
    fn instead(&self, status: u16, request: &RequestHeader, ctx: &RequestCtx) -> Option<Instead> {
        let (target, route) = match &self.page {
            Page::Path(template) if self.is_meant(status, ctx) => {
                let target = String::from_utf8(template.bytes(request, ctx)).ok()?;
                (Some(target.into()), None)
            }
            Page::Route(name) if self.is_meant(status, ctx) => (None, Some(Arc::clone(name))),
            _ => return None,
        };
        let with = self.settings.answer_with.map_or(status, |status| status.as_u16());
        Some(Instead {
            target,
            route,
            status: (!self.settings.own_status).then_some(with),
            intercepts: self.settings.intercept,
        })
    }

    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        let status = response.status.as_u16();
        if !self.is_meant(status, ctx) || matches!(self.page, Page::Path(_) | Page::Route(_)) {
            return None;
        }
        if let Page::Elsewhere(url) = &self.page {
            return self.sent_away(response, url.render(request, ctx)?, ctx);
        }
        if !self.settings.everybody {
            let _ = response.append_header(header::VARY, "Accept");
            if !wants_page(request) {
                return None;
            }
        }
        for name in ABOUT_THE_BODY.iter().chain(&DIGESTS) {
            response.remove_header(name);
        }
        if let Some(status) = self.settings.answer_with {
            let _ = response.set_status(status);
        }
        let _ = response.insert_header(header::CONTENT_TYPE, self.content_type.clone());
        Some(BodyChange::Replaced(self.page(request, ctx)))
    }
}

impl Replacement {
    fn is_meant(&self, status: u16, ctx: &RequestCtx) -> bool {
        let status = ctx.notes.known_as.unwrap_or(status);
        let mut ranges = self.settings.status.iter();
        status != 304 && ranges.any(|range| (range.first..=range.last).contains(&status))
    }

    /// Sends the client elsewhere, unless its answer is a backend's that is not to be replaced.
    fn sent_away(&self, response: &mut ResponseHeader, url: HeaderValue, ctx: &RequestCtx) -> Option<BodyChange> {
        if ctx.notes.is_handed_over || ctx.notes.upstream.is_some() && !self.settings.intercept {
            return None;
        }
        match ctx.notes.upstream {
            // Nothing of a backend's answer is said in place of which this goes.
            Some(_) => forget_all_but(&OWN, response),
            None => forget(&ABOUT_THE_BODY, response),
        }
        response.set_status(self.settings.answer_with.unwrap_or(StatusCode::FOUND)).ok()?;
        response.insert_header("Location", url).ok()?;
        Some(BodyChange::Replaced(Bytes::new()))
    }

    fn page(&self, request: &RequestHeader, ctx: &RequestCtx) -> Bytes {
        let render = |template: &Template| match self.is_html {
            true => template.html(request, ctx).into(),
            false => template.bytes(request, ctx).into(),
        };
        match &self.page {
            Page::Here(template) => render(template),
            Page::File(file) => Bytes::clone(&file.get()),
            Page::Template(file) => render(&file.get()),
            Page::Path(_) | Page::Route(_) | Page::Elsewhere(_) => Bytes::new(),
        }
    }
}

fn forget(names: &[HeaderName], response: &mut ResponseHeader) {
    for name in names {
        response.remove_header(name);
    }
}

fn forget_all_but(kept: &[&str], response: &mut ResponseHeader) {
    let others = response.headers.keys().filter(|name| !kept.contains(&name.as_str()));
    let others: Vec<HeaderName> = others.cloned().collect();
    forget(&others, response);
}

/// What Veil says itself, or of the connection; and what a 401 has to say.
const OWN: [&str; 5] = ["connection", "date", "server", "www-authenticate", "x-request-id"];

/// What says something of the body that there was.
const ABOUT_THE_BODY: [HeaderName; 9] = [
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::TRAILER,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{built, ctx, ok, request};

    fn page(yaml: &str, status: u16, accept: &str) -> Option<(u16, String)> {
        let mut response = ok();
        response.set_status(status).unwrap();
        response.insert_header("etag", "\"a\"").unwrap();
        let mut ctx = ctx("192.0.2.1");
        ctx.notes.status = Some(status);
        let request = request("GET", "/a&b", &[("accept", accept)]);
        let change = built::<ErrorPage>(yaml).on_response(&mut response, &request, &ctx)?;
        assert!(!response.headers.contains_key("etag"));
        match change {
            BodyChange::Replaced(bytes) => Some((response.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())),
            BodyChange::Through(_) => None,
        }
    }

    const BROWSER: &str = "text/html,*/*;q=0.8";

    #[test]
    fn people_get_a_page_and_programs_what_they_got() {
        let yaml = "{ status: [404, 5xx], body: '<h1>$status $reason</h1>$path' }";
        let expected = "<h1>404 Not Found</h1>/a&amp;b".to_owned();
        assert_eq!(page(yaml, 404, BROWSER), Some((404, expected)));
        assert!(page(yaml, 599, BROWSER).is_some());
        assert_eq!(page(yaml, 404, "application/json"), None);
        assert_eq!(page(yaml, 403, BROWSER), None);
        assert_eq!(page(yaml, 200, BROWSER), None);
        let all = "{ status: [503], body: 'wait', content_type: text/plain, everybody: true, answer_with: 200 }";
        assert_eq!(page(all, 503, "*/*"), Some((200, "wait".to_owned())));
    }

    #[test]
    fn another_route_may_answer() {
        let instead = |yaml: &str, status: u16| {
            let (head, ctx) = (request("GET", "/a", &[]), ctx("192.0.2.1"));
            let instead = built::<ErrorPage>(yaml).instead(status, &head, &ctx)?;
            Some((instead.target.map(String::from), instead.route, instead.status))
        };
        let (page, name) = (Some("/p/a".to_owned()), Some(Arc::from("other")));
        assert_eq!(instead("{ status: [404], to: /p$path }", 404), Some((page.clone(), None, Some(404))));
        assert_eq!(instead("{ status: [404], to: /p$path, own_status: true }", 404), Some((page, None, None)));
        assert_eq!(instead("{ status: [404], to: /p$path }", 403), None);
        let route = "{ status: [5xx], route: other, answer_with: 200 }";
        assert_eq!(instead(route, 502), Some((None, name, Some(200))));
    }

    #[test]
    fn who_is_sent_elsewhere_hears_nothing_of_the_backends_answer() {
        let (mut response, mut ctx) = (ok(), ctx("192.0.2.1"));
        response.set_status(403).unwrap();
        for (name, value) in [("set-cookie", "a=b"), ("x-internal", "1"), ("x-request-id", "2")] {
            response.insert_header(name, value).unwrap();
        }
        ctx.notes.upstream = Some((403, std::time::Duration::ZERO));
        let page = built::<ErrorPage>("{ status: [403], redirect: 'https://a.test/', intercept: true }");
        page.on_response(&mut response, &request("GET", "/a", &[]), &ctx);
        let mut names: Vec<&str> = response.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!((response.status.as_u16(), names), (302, vec!["location", "x-request-id"]));
    }

    #[test]
    fn clients_may_be_sent_elsewhere() {
        let sent = |yaml: &str, is_backends: bool| {
            let (mut response, mut ctx) = (ok(), ctx("192.0.2.1"));
            response.set_status(403).unwrap();
            ctx.notes.upstream = is_backends.then_some((403, std::time::Duration::ZERO));
            built::<ErrorPage>(yaml).on_response(&mut response, &request("GET", "/a", &[]), &ctx);
            let location = response.headers.get("location");
            (response.status.as_u16(), location.map(|location| location.to_str().unwrap().to_owned()))
        };
        let login = "status: [403], redirect: 'https://a.test/login?to=$request_uri'";
        let there = Some("https://a.test/login?to=/a".to_owned());
        assert_eq!(sent(&format!("{{ {login} }}"), false), (302, there.clone()));
        assert_eq!(sent(&format!("{{ {login}, answer_with: 301 }}"), false), (301, there.clone()));
        assert_eq!(sent(&format!("{{ {login} }}"), true), (403, None));
        assert_eq!(sent(&format!("{{ {login}, intercept: true }}"), true), (302, there));
    }

    #[test]
    fn refuses_what_it_cannot_show() {
        for text in [
            "{ status: [404] }",
            "{ status: [], body: a }",
            "{ status: [200], body: a }",
            "{ status: [304], body: a }",
            "{ status: [6xx], body: a }",
            "{ status: [404], body: a, file: b }",
            "{ status: [404], body: $nothing }",
            "{ status: [404], body: a, answer_with: 204 }",
            "{ status: [404], to: page }",
            "{ status: [404], to: /page, route: other }",
        ] {
            assert!(serde_yaml::from_str::<ErrorPage>(text).is_err(), "{text}");
        }
    }
}
