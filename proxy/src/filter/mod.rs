//! Filters: small policies on a request and its answer, in the order in which a route lists them.
//!
//! A filter is one file: the struct that YAML fills, what it does, its tests. One line below makes it known; nothing else
//! knows it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

pub use pingora::http::{RequestHeader, ResponseHeader};
use schemars::JsonSchema;
use serde::de::MapAccess;

pub use self::answer::{BodyChange, Content, Recall, Recalled, Transform, Witness};
pub use self::by::By;
pub use self::concurrency_limit::counts_requests_under_way;
pub use self::entry::FilterConfig;
use self::own::Own;
pub use self::own::register;
pub use self::verdict::{Amendment, Besides, Settled, Verdict};
use crate::body::Whole;
use crate::request::RequestCtx;
use crate::request::problem::Problem;
use crate::script::Store;

/// Makes filters known: of each its variant of [`Kind`], which is the name of its settings too, and its module, which is what
/// YAML calls it.
macro_rules! filters {
    ($($filter:ident in $module:ident,)*) => {
        $(mod $module;)*

        /// A filter's name in YAML, and its settings.
        #[derive(Clone, Debug, JsonSchema, PartialEq)]
        #[schemars(rename_all = "snake_case")]
        pub enum Kind {
            $($filter($module::$filter),)*
            #[schemars(skip)]
            Own(Own),
        }

        impl Kind {
            /// Those that are built in.
            pub const NAMES: &[&str] = &[$(stringify!($module)),*];

            /// Reads the settings that stand under a name.
            fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Self>, A::Error> {
                match name {
                    $(stringify!($module) => map.next_value().map(|settings| Some(Self::$filter(settings))),)*
                    _ => Ok(None),
                }
            }

            fn name(&self) -> &'static str {
                match self {
                    $(Self::$filter(_) => stringify!($module),)*
                    Self::Own(own) => own.name(),
                }
            }

            fn settings(&self) -> &dyn Settings {
                match self {
                    $(Self::$filter(settings) => settings,)*
                    Self::Own(own) => own.settings(),
                }
            }

            fn settings_mut(&mut self) -> Option<&mut dyn Settings> {
                match self {
                    $(Self::$filter(settings) => Some(settings),)*
                    Self::Own(own) => own.settings_mut().map(|settings| settings as &mut dyn Settings),
                }
            }
        }
    };
}

mod answer;
mod by;
mod conditional;
mod entry;
mod headers;
mod media_type;
mod own;
mod refusing;
mod verdict;
mod watched;
mod zones;

filters! {
    Access in access,
    AnyOf in any_of,
    ApiKey in api_key,
    AskedAs in asked_as,
    Bandwidth in bandwidth,
    BasicAuth in basic_auth,
    CacheControl in cache_control,
    Compression in compression,
    ConcurrencyLimit in concurrency_limit,
    Cors in cors,
    ErrorPage in error_page,
    Expires in expires,
    Files in files,
    ForwardAuth in forward_auth,
    HttpsOnly in https_only,
    ImageGuard in image_guard,
    Jwt in jwt,
    KeepAlive in keep_alive,
    Note in note,
    RateLimit in rate_limit,
    RealIp in real_ip,
    Redirect in redirect,
    RequestHeaders in request_headers,
    RequestId in request_id,
    Reroute in reroute,
    Respond in respond,
    ResponseHeaders in response_headers,
    ResultCache in result_cache,
    Rewrite in rewrite,
    RewriteCookies in rewrite_cookies,
    RewriteLocation in rewrite_location,
    Script in script,
    StripPrefix in strip_prefix,
}

pub use self::request_headers::RequestHeaders;

/// What YAML says of one filter. Only the first has to be written.
pub trait Settings {
    /// The filter itself. It is made for `veil check` and `veil explain` too, and anew at a reload that changes it.
    ///
    /// # Errors
    /// It cannot work with these settings: what `veil check` then says, with the place of the filter.
    fn build(&self, workshop: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError>;

    /// Whether no request gets past it, so that its route needs no pool.
    fn always_answers(&self) -> bool {
        false
    }

    /// The files that it reads, by their keys. A path that is relative is one from the folder of the configuration before
    /// `build` sees it.
    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        Vec::new()
    }

    /// The pools that it asks or chooses, by their keys: each has to be defined.
    fn pools(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    /// The routes that it sends requests to, by their keys.
    fn routes(&self) -> Vec<(&'static str, &str)> {
        Vec::new()
    }

    /// Whether it has something to say to a body ([`Filter::on_body`]), which is then kept until it is whole.
    fn needs_whole_body(&self) -> bool {
        false
    }

    /// Whether it keeps some requests, or all, from the backends.
    fn guards(&self) -> bool {
        false
    }

    /// Whether it sends clients to a host that they name themselves.
    fn redirects_to_host(&self) -> bool {
        false
    }

    /// Whether a reload that changes nothing in its YAML leaves it as it is, with what it knows of clients.
    fn may_be_kept(&self) -> bool {
        self.pools().is_empty()
    }
}

/// What filters are made with. It is lent for as long as they are built: what is needed later is cloned.
#[derive(Clone, Copy, Default)]
pub struct Workshop<'a> {
    /// None where no request is sent, as when one is explained.
    pub subrequests: Option<&'a Arc<dyn Subrequests>>,
    /// The name of the route that they are for, where that is known.
    pub route: Option<&'a str>,
    /// What scripts remember; where there is none, each begins with nothing.
    pub store: Option<&'a Arc<Store>>,
}

/// Sends requests of Veil's own to pools.
pub trait Subrequests: Send + Sync {
    /// The head of the answer to a request without a body, on behalf of a client; none where nobody gave one. The pool's own
    /// timeouts hold for each backend that is asked, of which there may be three: who has less time bounds it
    /// (`tokio::time::timeout`).
    fn ask(&self, pool: &str, head: Box<RequestHeader>, ctx: &RequestCtx) -> Asked;
}

/// The answer's head, once it has come.
pub type Asked = Pin<Box<dyn Future<Output = Option<Box<ResponseHeader>>> + Send>>;

/// Why a filter cannot be put to work.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(pub String);

/// What is done to the requests and responses of a route. Each step goes on unless a filter says otherwise.
pub trait Filter: Send + Sync {
    /// When the head has come from the client, before a byte of the body is read.
    fn on_request(&self, _request: &mut RequestHeader, _ctx: &mut RequestCtx) -> Verdict {
        Verdict::Continue
    }

    /// When the whole body has come, where it is kept; before a backend is chosen.
    fn on_body(&self, _body: &[u8], _request: &RequestHeader, _ctx: &RequestCtx) -> Result<(), Problem> {
        Ok(())
    }

    /// When the whole body has come, where it is kept, and no filter minds it: an answer that is known already. `sent` makes the
    /// head as a backend gets it.
    fn recall(
        &self,
        _body: &Arc<Whole>,
        _request: &RequestHeader,
        _ctx: &RequestCtx,
        _sent: &dyn Fn() -> Option<RequestHeader>,
    ) -> Option<Recall> {
        None
    }

    /// Before the head goes to a backend, once for each that is tried.
    fn on_upstream_request(&self, _request: &mut RequestHeader, _ctx: &RequestCtx) {}

    /// What answers in place of an answer with this status.
    fn instead(&self, _status: u16, _request: &RequestHeader, _ctx: &RequestCtx) -> Option<Instead> {
        None
    }

    /// Before the answer's head goes to the client, in reverse order; also where Veil itself is who answers.
    fn on_response(
        &self,
        _response: &mut ResponseHeader,
        _request: &RequestHeader,
        _ctx: &RequestCtx,
    ) -> Option<BodyChange> {
        None
    }
}

/// Another route in place of an answer.
#[derive(Debug)]
pub struct Instead {
    /// What leads to it, unless it is named.
    pub target: Option<Box<str>>,
    pub route: Option<Arc<str>>,
    /// What the client gets its answer with; its own unless given.
    pub status: Option<u16>,
    /// Also of backends' answers.
    pub intercepts: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use serde::Deserialize;

    use super::testing::{ctx, request};
    use super::*;

    /// Asks somebody, who asks somebody.
    struct Asks;

    impl Filter for Asks {
        fn on_request(&self, _request: &mut RequestHeader, _ctx: &mut RequestCtx) -> Verdict {
            Verdict::Later(Box::pin(async {
                tokio::task::yield_now().await;
                Verdict::Later(Box::pin(async { Verdict::Refuse(crate::request::problem::NO_ROUTE) }))
            }))
        }
    }

    #[tokio::test]
    async fn a_verdict_may_take_its_time() {
        let verdict = Asks.on_request(&mut request("GET", "/", &[]), &mut ctx("192.0.2.1"));
        assert!(matches!(verdict.settled().await, Settled::Refuse(problem, _) if problem.code == "no_route"));
    }

    #[test]
    fn a_filter_is_called_what_yaml_calls_it() {
        for yaml in [
            "access: { deny: [192.0.2.1] }",
            "cors: { origins: ['*'] }",
            "https_only: {}",
            "rate_limit: { rate: 1/s }",
            "redirect: { to: / }",
            "request_headers: {}",
            "respond: { status: 404 }",
            "response_headers: {}",
        ] {
            let entry: serde_yaml::Value = serde_yaml::from_str(yaml).unwrap();
            let config: FilterConfig = serde_yaml::with::singleton_map::deserialize(entry).unwrap();
            let name = yaml.split(':').next().unwrap();
            assert_eq!(config.name(), name);
            assert_eq!(
                config.always_answers(),
                matches!(name, "redirect" | "respond"),
                "{name}"
            );
        }
    }

    #[derive(Deserialize, JsonSchema)]
    struct Reads {
        list: PathBuf,
        pool: String,
    }

    impl Filter for () {}

    impl Settings for Reads {
        fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
            Ok(Arc::new(()))
        }

        fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
            vec![("list", &mut self.list)]
        }

        fn pools(&self) -> Vec<(&'static str, &str)> {
            vec![("pool", &self.pool)]
        }
    }

    /// So that a path is one from the configuration's folder, and a pool that there is not is told of.
    #[test]
    fn its_files_and_pools_are_known_like_those_of_veils_own() {
        register::<Reads>("reads_a_list");
        let mut config: FilterConfig = serde_yaml::from_str("reads_a_list: { list: names, pool: app }").unwrap();
        assert_eq!(config.pools(), [("pool", "app")]);
        for (key, path) in config.files() {
            assert_eq!((key, path.as_path()), ("list", Path::new("names")));
            *path = Path::new("/etc/veil").join(&*path);
        }
        assert_eq!(config.files()[0].1, Path::new("/etc/veil/names"));
    }
}

#[cfg(test)]
mod testing {
    #![allow(clippy::unwrap_used)]

    use super::*;
    pub use crate::request::testing::{ctx, request};

    pub fn ok() -> ResponseHeader {
        ResponseHeader::build(200, None).unwrap()
    }

    pub fn filter<F: serde::de::DeserializeOwned>(yaml: &str) -> F {
        serde_yaml::from_str(yaml).unwrap()
    }

    /// The filter of these settings, in their YAML.
    pub fn built<F: Settings + serde::de::DeserializeOwned>(yaml: &str) -> Arc<dyn Filter> {
        filter::<F>(yaml).build(&Workshop::default()).unwrap()
    }
}
