//! What a crate of one's own builds on, to give Veil a filter or a selection algorithm that it does not have: such a crate
//! registers its own, and calls [`crate::main`]. `check`, `schema` and `explain` know it like those that are built in.
//! `proxy/examples/own_filter` is one.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use veil::extension::{Filter, FilterError, RequestCtx, RequestHeader, Settings, Verdict, Workshop, register_filter};
//!
//! /// `- greeting: { text: hello }` among a route's `filters`
//! #[derive(Clone, Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Greeting {
//!     text: String,
//! }
//!
//! impl Settings for Greeting {
//!     fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
//!         Ok(Arc::new(self.clone()))
//!     }
//! }
//!
//! impl Filter for Greeting {
//!     fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
//!         let _ = request.insert_header("X-Greeting", &self.text);
//!         ctx.notes.note("greeted", ctx.path(request).to_owned());
//!         Verdict::Continue
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     register_filter::<Greeting>("greeting");
//!     veil::main(None)
//! }
//! ```
//!
//! # What is promised
//!
//! What this module names stays as it is within one minor version (`0.1.x`): nothing is taken away or changes its meaning, a trait
//! gets no function that one has to write. CHANGELOG.md says under *Extensions* what the next one changes. Of the types that
//! are used elsewhere too, the promise is for:
//!
//! | type | what |
//! |---|---|
//! | [`RequestCtx`] | `id`, `client` (none: unknown), `scheme`, `path(head)`, `notes.noted(name)`, `notes.note(name, text)`, `notes.claim(name)` |
//! | [`Problem`] | `Problem::new(status, code, title)`, a `const fn`; the answer is a problem document (RFC 9457) |
//! | [`Candidates`] | `iter()`, `offers(index)`, `now` |
//! | [`Key`] | `bytes()`, `client()`, `upload_bytes()` |
//! | [`KeyConfig`] | its `Default` (the client's address), and that YAML fills it |
//! | [`Counted`] | as the program's `#[global_allocator]`, around another one: without it the limit on a script's memory does not hold |
//! | [`Backend`] | `name()`, `address()`, `weight()`, `share(now)` (the weight, less while it starts), `in_flight()`, `in_flight_bytes()` |
//!
//! [`RequestHeader`] and [`ResponseHeader`] are Pingora's; `http`, `serde` and `schemars` are to be of the versions that Veil
//! has (see `[workspace.dependencies]`). What else the crate `veil` makes public may change with any version.
//!
//! # Filters
//!
//! A route's filters are called in their order, those of an answer in reverse. A filter is shared by all threads and is asked
//! for each request, so what it remembers is behind atomics or short locks. [`Verdict::Later`] is a future, for who has to
//! ask somebody ([`Workshop::subrequests`] asks a pool); it is awaited, under no timeout but its own. Where a filter gives
//! another verdict nothing is paid for that it could. A panic ends the request's connection, and nothing else.
//!
//! # Selections
//!
//! An algorithm is made for the backends of one tier ([`Algorithm::build`]), anew when one comes, goes or gets another weight. It is
//! asked for the index of one that is offered, and may be asked again where somebody else has taken that one's last place.
//! [`Algorithm::strict`] is for who has a key: the settings under which the key alone decides, so that `veil explain` and `veil diff`
//! can tell a request's home.

pub use bytes::Bytes;

pub use crate::filter::register as register_filter;
pub use crate::filter::{
    Amendment, BodyChange, Content, Filter, FilterError, RequestHeader, ResponseHeader, Settings, Subrequests,
    Transform, Verdict, Workshop,
};
pub use crate::heap::Counted;
pub use crate::pool::choose::key::Key;
pub use crate::pool::choose::key_config::KeyConfig;
pub use crate::pool::choose::selection::register as register_selection;
pub use crate::pool::choose::selection::select::{Algorithm, Candidates, Select};
pub use crate::pool::members::backend::Backend;
pub use crate::request::RequestCtx;
pub use crate::request::problem::Problem;
