//! `script: { file: rules.rhai, on_error: closed }`: what the other filters cannot say, in a few lines of a script.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use rhai::Dynamic;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{BodyChange, Content, Filter, FilterError, Settings, Verdict, Workshop};
use crate::heap;
use crate::request::RequestCtx;
use crate::request::problem::{self, Problem};
use crate::script::{self, Decision, Draft, Failure, Hook, Kept, Limits, Program, Seen, Store, Tally};
use crate::yaml::document::at_in_text;

/// A script in Rhai, whose functions `on_request(request)`, `on_response(response, request)`, `key(request)` and `pool(request)`
/// are called; conf/programming.md says what they may do.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(try_from = "ScriptFields")]
#[schemars(with = "ScriptFields")]
pub struct Script {
    name: Option<String>,
    source: Source,
    on_error: OnError,
    limits: Limits,
    settings: BTreeMap<String, String>,
    pools: Vec<String>,
}

/// Where its text is.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    File(PathBuf),
    Inline(Text),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScriptFields {
    /// What logs and metrics call it; its file's name unless given, or its route's with `#inline` behind it.
    name: Option<String>,
    file: Option<PathBuf>,
    /// The script itself, in the place of a file.
    inline: Option<Text>,
    /// What becomes of a request on which it fails: `open` lets it go on, `closed` refuses it.
    on_error: OnError,
    #[serde(default)]
    limits: Limits,
    /// Texts that it gets by `setting("name")`: secrets, say, from the environment.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Those that `pool(request)` may choose.
    #[serde(default)]
    pools: Vec<String>,
}

impl TryFrom<ScriptFields> for Script {
    type Error = String;

    fn try_from(fields: ScriptFields) -> Result<Self, String> {
        let source = match (fields.file, fields.inline) {
            (Some(file), None) => Source::File(file),
            (None, Some(text)) => Source::Inline(text),
            _ => return Err("has a file and an inline script, or neither; write one of them".to_owned()),
        };
        Ok(Self {
            name: fields.name,
            source,
            on_error: fields.on_error,
            limits: fields.limits,
            settings: fields.settings,
            pools: fields.pools,
        })
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum OnError {
    Open,
    Closed,
}

/// A script that is written where it is used.
#[derive(Clone, Debug, JsonSchema, PartialEq)]
#[schemars(with = "String", extend("examples" = ["fn on_request(request) { request.set_header(\"X-Client\", request.client) }"]))]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Program::hooks(&text, &Limits::default()) {
            Ok(_) => Ok(Self(text)),
            Err(mistake) => Err(de::Error::custom(at_in_text(mistake.line, mistake.column, &mistake.what))),
        }
    }
}

impl Settings for Script {
    fn build(&self, workshop: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let (text, source) = match &self.source {
            Source::File(file) => {
                let source = file.display().to_string();
                let text = fs::read_to_string(file).map_err(|error| FilterError(format!("{source}: {error}")))?;
                (text.trim_start_matches('\u{feff}').to_owned(), source)
            }
            Source::Inline(Text(text)) => (text.clone(), "inline".to_owned()),
        };
        let program = Program::hooks(&text, &self.limits).map_err(|mistake| {
            FilterError(format!("{source}:{}:{}: {}", mistake.line, mistake.column, mistake.what))
        })?;
        if program.has(Hook::Pool) && self.pools.is_empty() {
            return Err(FilterError("has pool(request), and nothing to choose; write them under pools".to_owned()));
        }
        let known_as = || match (&self.source, workshop.route) {
            (Source::Inline(_), Some(route)) => format!("{route}#inline"),
            _ => source,
        };
        let name = self.name.clone().unwrap_or_else(known_as);
        if !heap::is_counted() {
            let what = "the limit on its memory does not hold: this program's allocator is not veil::extension::Counted";
            tracing::warn!(script = name, "{what}");
        }
        Ok(Arc::new(Scripted {
            program,
            store: workshop.store.map(Arc::clone).unwrap_or_default(),
            tally: script::tallies().of(&name),
            name,
            settings: self.clone(),
        }))
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        match &mut self.source {
            Source::File(file) => vec![("file", file)],
            Source::Inline(_) => Vec::new(),
        }
    }

    fn pools(&self) -> Vec<(&'static str, &str)> {
        self.pools.iter().map(|pool| ("pools", pool.as_str())).collect()
    }

    /// Its file may say something else by now; what it remembers is kept elsewhere.
    fn may_be_kept(&self) -> bool {
        false
    }
}

struct Scripted {
    program: Program,
    store: Arc<Store>,
    tally: Arc<Tally>,
    name: String,
    settings: Script,
}

impl Filter for Scripted {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        for hook in [Hook::OnRequest, Hook::Key, Hook::Pool].into_iter().filter(|hook| self.program.has(*hook)) {
            match self.run(hook, Seen::of(request, ctx)) {
                Ok((value, draft)) => {
                    carry_out(draft, request, ctx);
                    if let Some(decision) = settle(hook, value, ctx) {
                        return verdict(decision);
                    }
                }
                Err(_) if self.settings.on_error == OnError::Closed => return Verdict::Refuse(problem::SCRIPT_FAILED),
                Err(_) => {}
            }
        }
        Verdict::Continue
    }

    fn on_response(
        &self,
        response: &mut ResponseHeader,
        request: &RequestHeader,
        ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        if !self.program.has(Hook::OnResponse) {
            return None;
        }
        let seen = Seen {
            answer: Some(&*response),
            ..Seen::of(request, ctx)
        };
        match self.run(Hook::OnResponse, seen) {
            Ok((_, draft)) => {
                change_answer(draft, response, ctx);
                None
            }
            Err(failure) if self.settings.on_error == OnError::Closed => self.withheld(&failure, response, ctx),
            Err(_) => None,
        }
    }
}

impl Scripted {
    fn run(&self, hook: Hook, seen: Seen<'_>) -> Result<(Dynamic, Draft), Failure> {
        let began = Instant::now();
        let kept = Kept {
            store: &self.store,
            settings: &self.settings.settings,
        };
        let done = self.program.run(hook, seen, kept);
        let result = done.and_then(|(value, draft)| self.is_meant(hook, &value).map(|()| (value, draft)));
        self.tally.ran(began.elapsed(), result.is_err());
        if let Err(failure) = &result {
            self.tell(failure, seen.ctx);
        }
        result
    }

    /// A value that means nothing is a mistake, not a wish to go on: `return 403`, say.
    fn is_meant(&self, hook: Hook, value: &Dynamic) -> Result<(), Failure> {
        let is_meant = match hook {
            Hook::OnResponse => !value.is::<Decision>(),
            _ if value.is::<Decision>() => true,
            Hook::OnRequest => value.is_unit(),
            Hook::Key => value.is_unit() || value.is_string() || value.is_int(),
            Hook::Pool => script::text(value.clone()).is_none_or(|pool| self.settings.pools.contains(&pool)),
        };
        let what = || match hook {
            Hook::Pool => format!("{} gives {:?}, which is not among its pools", hook.signature(), beginning(value)),
            Hook::OnResponse => format!("{} decides nothing; set response.status", hook.signature()),
            Hook::Key => format!("{} gives {}, which is neither text nor number", hook.signature(), value.type_name()),
            _ => format!(
                "{} gives {}, not answer(…), redirect(…), refuse(…) or nothing; a last line that gives something may be followed by `return;`",
                hook.signature(),
                value.type_name()
            ),
        };
        is_meant.then_some(()).ok_or_else(|| self.program.failure(hook, what()))
    }

    fn place(&self, failure: &Failure) -> String {
        match failure.line {
            0 => self.name.clone(),
            line => format!("{}:{line}", self.name),
        }
    }

    /// To the access line, and, not more than once a second, to the log.
    fn tell(&self, failure: &Failure, ctx: &RequestCtx) {
        let (script, request) = (self.place(failure), ctx.id.as_str());
        ctx.notes.failed_script.set(script.as_str(), failure.what.as_str());
        if let Some(silent) = self.tally.tells(script::since_start()) {
            tracing::error!(script, request, silent, "a script has failed: {failure}");
        }
    }

    /// An answer that could not be looked at does not go out.
    fn withheld(&self, failure: &Failure, response: &mut ResponseHeader, ctx: &RequestCtx) -> Option<BodyChange> {
        let place = self.place(failure);
        let (head, body) = problem::SCRIPT_FAILED.response_with(&ctx.id, &[("script", place.as_str())]).ok()?;
        *response = head;
        Some(BodyChange::Replaced(body))
    }
}

fn beginning(value: &Dynamic) -> String {
    const SOME: usize = 60;
    value.to_string().chars().take(SOME).collect()
}

/// What a hook's value means; a decision ends the request. What says nothing leaves what another script has said.
fn settle(hook: Hook, value: Dynamic, ctx: &mut RequestCtx) -> Option<Decision> {
    if value.is::<Decision>() {
        return script::decision(value);
    }
    let said = script::text(value)?;
    match hook {
        Hook::Key => ctx.notes.key = Some(said.into()),
        Hook::Pool => ctx.notes.wanted_pool = Some(said.into()),
        Hook::OnRequest | Hook::OnResponse => {}
    }
    None
}

/// Does to the request what a hook wanted.
fn carry_out(draft: Draft, request: &mut RequestHeader, ctx: &mut RequestCtx) {
    for (name, values) in draft.request.outcome(&request.headers) {
        request.remove_header(&name);
        for value in values {
            let _ = request.append_header(name.clone(), value);
        }
    }
    if draft.target.is_some() {
        ctx.notes.target = draft.target;
    }
    for (name, text) in draft.notes {
        ctx.notes.note(&name, text);
    }
}

fn change_answer(draft: Draft, response: &mut ResponseHeader, ctx: &RequestCtx) {
    for (name, text) in draft.notes {
        ctx.notes.note_late(&name, text);
    }
    if let Some(status) = draft.status {
        let _ = response.set_status(status);
    }
    for (name, values) in draft.answer.outcome(&response.headers) {
        response.remove_header(&name);
        for value in values {
            let _ = response.append_header(name.clone(), value);
        }
    }
}

fn verdict(decision: Decision) -> Verdict {
    match decision {
        Decision::Answer { status, body, fields } => {
            let mut answer = http::Response::new(Content::Bytes(body.into()));
            *answer.status_mut() = status;
            if !fields.iter().any(|(name, _)| *name == header::CONTENT_TYPE) && answer.body().length() > 0 {
                let text = HeaderValue::from_static("text/plain; charset=utf-8");
                answer.headers_mut().insert(header::CONTENT_TYPE, text);
            }
            for (name, value) in fields {
                answer.headers_mut().append(name, value);
            }
            Verdict::Answer(Box::new(answer))
        }
        Decision::Refuse { status, detail } => {
            let problem = Problem::new(status, "refused", "a rule of this site refuses the request");
            match detail {
                Some(detail) => Verdict::Explain(problem, detail.into()),
                None => Verdict::Refuse(problem),
            }
        }
    }
}
