//! `veil explain`: which route takes a request, and which backends it would be sent to, in order and with the reasons. It
//! asks the router, the filters and the selection themselves.

mod answer;
mod question;

use std::io;

use pingora::http::RequestHeader;

pub use self::answer::{Answer, Asked, Explanation};
pub use self::question::Question;
use crate::cli::pools::{self, AdminListener, OperateError};
use crate::client::endpoint::Endpoint;
use crate::client::tls::{TrustError, check_trust};
use crate::config::Config;
use crate::config::rehearsal::{Ends, Rehearsal, RehearsalError, Stage};
use crate::pool::{Pool, PoolConfig, PoolError, PoolStatus};
use crate::request::RequestCtx;
use crate::route::RouteConfig;
use crate::upstream::retry::is_idempotent;
use crate::yaml::diagnostic::suggest;

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    #[error(transparent)]
    Operate(#[from] OperateError),
    #[error("the Veil at {admin} has no pool {pool:?}; is it another configuration?")]
    OtherPools { admin: Endpoint, pool: String },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    System(#[from] io::Error),
    #[error("pool {pool:?} has no backend {backend:?}{}", help.as_deref().map(|help| format!("\n  help: {help}")).unwrap_or_default())]
    NoBackend {
        pool: String,
        backend: String,
        help: Option<String>,
    },
}

/// Follows the request as far as to its backends. Resolves names, and asks the sources of backends once.
pub async fn explain(config: &Config, question: &Question) -> Result<Explanation, ExplainError> {
    let question = &question.taken_apart()?;
    check_trust()?;
    let asked = question.asked(config)?;
    let path = asked.ctx.path(&asked.head).to_owned();
    let Rehearsal {
        considered,
        route,
        filters,
        ends,
        on_sent,
        on_answer,
        answer,
        body,
        why,
        respelt,
        ctx,
        head,
        ..
    } = Stage::new(config).rehearse(asked).await?;
    let mut explanation = Explanation {
        client: question.client,
        method: question.method.to_string(),
        host: question.host.clone(),
        path,
        routes: considered,
        filters,
        on_sent,
        target: None,
        pool: None,
        mirrors: Vec::new(),
        answer: None,
        on_answer,
    };
    match (ends, route) {
        (Ends::Answered(code), _) => explanation.answer = Some(Answer::new(&answer, code, why, body.as_deref())),
        (Ends::Sent(Some(name), _), Some(route)) => {
            explanation.target = ctx.notes.target.as_deref().map(str::to_owned).or(respelt);
            let mirrors = route.copies().filter(|mirror| mirror.is_for(&head, &ctx));
            explanation.mirrors = mirrors.map(|mirror| mirror.pool.clone()).collect();
            if let Some(pool) = config.pools.get(&name) {
                explanation.pool = Some(ask(&name, pool, route, (&head, &ctx), question).await?);
            }
        }
        _ => {}
    }
    Ok(explanation)
}

async fn ask(
    name: &str,
    config: &PoolConfig,
    route: &RouteConfig,
    (head, ctx): (&RequestHeader, &RequestCtx),
    question: &Question,
) -> Result<Asked, ExplainError> {
    let status = question.admin().map(|admin| running(&admin, name)).transpose()?;
    let pool = match &status {
        Some(status) => Pool::new(name, &config.as_running(status), None)?,
        None => Pool::new(name, config, None)?,
    };
    pool.outlook().discover().await;
    pool.outlook().hope_for_the_best();
    if let Some(status) = &status {
        pool.outlook().suppose(status);
    }
    for backend in &question.down {
        if !pool.outlook().suppose_down(backend) {
            let backends = pool.backends();
            let names = backends.iter().map(|backend| backend.name());
            return Err(ExplainError::NoBackend {
                pool: name.to_owned(),
                backend: backend.clone(),
                help: suggest("its backends", backend, names),
            });
        }
    }
    let mut troubles = pool.outlook().troubles();
    if config.spawn.is_some() && status.is_none() {
        troubles.push("its own workers get their addresses when they start; give --admin".to_owned());
    }
    let key = pool.key(head, question.client);
    let key = match &ctx.notes.key {
        Some(text) => key.told_apart_by(text),
        None => key,
    };
    Ok(Asked {
        pool: name.to_owned(),
        key: key.to_string(),
        select: config.select.name().to_owned(),
        sticky: pool.outlook().cookie_seen(&key),
        live: status.is_some(),
        attempts: match is_idempotent(&question.method, route.idempotent) {
            true => route.retry.attempts,
            false => 1,
        },
        backends: pool.outlook().turns(&key),
        troubles,
    })
}

/// How a running Veil's pool is.
fn running(admin: &AdminListener, pool: &str) -> Result<PoolStatus, ExplainError> {
    let found = pools::pools(admin)?.into_iter().find(|status| status.name == pool);
    found.ok_or_else(|| ExplainError::OtherPools {
        admin: admin.address.clone(),
        pool: pool.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;
    use crate::config;
    use crate::pool::Key;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        question: Question,
    }

    const CONFIG: &str = "
version: 1
listeners: { public: { address: 127.0.0.1:0 } }
routes:
  - { name: page, match: { path_exact: / }, pool: blur }
  - name: api
    match: { path_prefix: /v1/, methods: [POST] }
    pool: blur
    idempotent: true
    filters: [{ access: { deny: [192.0.2.66] } }, { request_headers: { remove: [Cookie] } }]
pools:
  blur:
    select: { ketama: { key: { header: X-User } } }
    backends:
      - { address: 10.0.0.1:80, name: a }
      - { address: 10.0.0.2:80, name: b }
      - { address: 10.0.0.3:80, name: spare, backup: true }
      - { address: 10.0.0.4:80, name: gone, weight: 0 }
";

    fn outcome(explanation: &Explanation) -> Option<String> {
        explanation.answer.as_ref().map(Answer::outcome)
    }

    async fn explained(arguments: &str) -> Result<Explanation, ExplainError> {
        explained_in(CONFIG, arguments).await
    }

    async fn explained_in(config: &str, arguments: &str) -> Result<Explanation, ExplainError> {
        let config = config::parse("x.yaml", config).unwrap();
        let line = Line::parse_from(["explain"].into_iter().chain(arguments.split_whitespace()));
        explain(&config, &line.question).await
    }

    #[tokio::test]
    async fn tells_route_filters_and_backends_in_order() {
        let text = explained("--client 192.0.2.1 --path /v1/blur?x=1 --method POST --header X-User:ada --down a")
            .await
            .unwrap()
            .to_string();
        let expected = "\
POST localhost/v1/blur from 192.0.2.1
route \"page\" is for another path
route \"api\" takes it
filter access lets it go on
filter request_headers lets it go on
pool \"blur\" by ketama, key \"ada\"; its backends if all are well:
   1  b      10.0.0.2:80  primary  weight 1  in place of a, which is down
   2  spare  10.0.0.3:80  backup   weight 1  backup, for when no primary can
   3  a      10.0.0.1:80  primary  weight 1  down, but nobody better is left
   -  gone   10.0.0.4:80  primary  weight 0  drained by weight 0
sent to at most 3 of them; one that cannot be connected to does not count
";
        assert_eq!(text, expected);
    }

    #[tokio::test]
    async fn tells_what_becomes_of_heads_and_why_scripts_fail() {
        let config = CONFIG.replace(
            "    filters: [{ access: { deny: [192.0.2.66] } }, { request_headers: { remove: [Cookie] } }]\n",
            "    mirror: { pool: blur, when: query(\"x\") == \"1\" }
    filters:
      - request_headers: { remove: [Cookie], set: { X-Tenant: $host } }
      - response_headers: { set: { X-Frame-Options: DENY } }
      - script: { on_error: closed, inline: 'fn on_request(request) { if query(\"x\") == \"2\" { redirect(\"/\" + 2) } parse_int(query(\"x\")); return; }' }\n",
        );
        let said = async |query: &str| {
            let asked = format!("--client 192.0.2.1 --method POST --path /v1/a?x={query} --header Cookie:a=b");
            let text = explained_in(&config, &asked).await.unwrap().to_string();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (sent, elsewhere, failed) = (said("1").await, said("2").await, said("y").await);
        for line in [
            "for backends, filter request_headers sets x-tenant: localhost",
            "for backends, filter request_headers removes cookie",
            "if a backend answers 200, filter response_headers sets x-frame-options: DENY",
            "a copy may go to pool \"blur\"",
        ] {
            assert!(sent.iter().any(|said| said == line), "{line}: {sent:#?}");
        }
        for line in ["Veil answers 302", "   location: /2", "   x-frame-options: DENY"] {
            assert!(elsewhere.iter().any(|said| said == line), "{line}: {elsewhere:#?}");
        }
        assert!(
            !elsewhere.iter().any(|said| said.contains("a copy may go")),
            "{elsewhere:#?}"
        );
        let why = "filter script fails at api#inline:1: error parsing integer number 'y'";
        assert!(failed.iter().any(|said| said.starts_with(why)), "{failed:#?}");
        assert!(
            failed.iter().any(|said| said == "Veil answers 500 script_failed"),
            "{failed:#?}"
        );
    }

    #[tokio::test]
    async fn tells_where_a_request_ends_early() {
        let denied = explained("--client 192.0.2.66 --path /v1/blur --method POST")
            .await
            .unwrap();
        assert_eq!(
            (outcome(&denied).as_deref(), denied.pool.is_none()),
            (Some("403 forbidden"), true)
        );
        let other_method = explained("--client 192.0.2.1 --path /v1/blur").await.unwrap();
        assert_eq!(outcome(&other_method).as_deref(), Some("405 method_not_allowed"));
        let nowhere = explained("--client 192.0.2.1 --path /metrics").await.unwrap();
        assert_eq!(outcome(&nowhere).as_deref(), Some("404 no_route"));
        let resolved = explained("--client 192.0.2.1 --path /v1/../metrics").await.unwrap();
        assert_eq!(outcome(&resolved).as_deref(), Some("404 no_route"));
        assert!(explained("--client 192.0.2.1 --path /v1/..;/b").await.is_err());
    }

    #[tokio::test]
    async fn tells_what_strict_paths_do() {
        let strict = CONFIG.replace(
            "match: { path_prefix: /v1/, methods",
            "paths: strict\n    match: { path_prefix: /v1/, methods",
        );
        let listener = CONFIG.replace(
            "127.0.0.1:0 }",
            "127.0.0.1:0, paths: strict }, strange: { address: 127.0.0.2:0 }",
        );
        let asked = "--client 192.0.2.1 --method POST --path /v1//%7Eblur%3F?q=%7E";
        let target = async |config: &str, further: &str| {
            let said = explained_in(config, &format!("{asked} {further}")).await.unwrap();
            (said.target.clone(), outcome(&said))
        };
        let respelt = (Some("/v1/~blur%3F?q=%7E".to_owned()), None);
        assert_eq!(target(CONFIG, "").await, (None, None));
        assert_eq!(target(&strict, "").await, respelt);
        assert_eq!(target(&listener, "").await, respelt);
        assert_eq!(target(&listener, "--listener strange").await, (None, None));
        for config in [&strict, &listener] {
            let refused = explained_in(config, "--client 192.0.2.1 --method POST --path /v1/a%2Fb")
                .await
                .unwrap();
            let answer = outcome(&refused).unwrap();
            assert!(answer.starts_with("400 bad_path: "), "{answer}");
            assert!(refused.pool.is_none());
        }
        let unknown = explained_in(&listener, &format!("{asked} --listener pulbic"))
            .await
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("did you mean \"public\""), "{unknown}");
    }

    #[tokio::test]
    async fn a_method_that_a_path_does_not_have_falls_to_no_catch_all() {
        let config = CONFIG.replace(
            "  - name: api\n",
            "  - { match: { path_prefix: / }, pool: blur }\n  - name: api\n",
        );
        let said = async |path: &str| {
            let said = explained_in(&config, &format!("--client 192.0.2.1 --path {path}")).await;
            outcome(&said.unwrap())
        };
        assert_eq!(said("/v1/blur").await.as_deref(), Some("405 method_not_allowed"));
        assert_eq!(said("/v2/blur").await, None);
    }

    #[tokio::test]
    async fn tells_what_a_sticky_cookie_does() {
        let sticky = |settings: &str| {
            let sticky = format!("  blur:\n    sticky: {{ {settings} }}\n");
            CONFIG.replace("  blur:\n", &sticky)
        };
        let shared = sticky("secret: 0123456789abcdef");
        let said = async |config: &str, cookie: &str| {
            let explanation = explained_in(config, &format!("--client 192.0.2.1 {cookie}"))
                .await
                .unwrap();
            let text = explanation.to_string();
            let lines = text.lines().filter(|line| line.contains("cookie"));
            lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            said(&shared, "").await,
            ["cookie veil_backend: none came; the answer sets one that leads back to who gave it"]
        );
        let named = said(&shared, "--header Cookie:veil_backend=SPARE").await;
        assert_eq!(
            named,
            ["cookie veil_backend: names nobody here; the answer sets another"]
        );
        assert_eq!(
            said(&sticky("max_age: 1h"), "--header Cookie:veil_backend=0123456789abcdef").await,
            ["cookie veil_backend: only who set it can tell whom it names, as no secret is configured"]
        );
        let pool = Pool::new("blur", &config::parse("x.yaml", &shared).unwrap().pools["blur"], None).unwrap();
        let set = pool.cookie(
            &Key::of_client([192, 0, 2, 1].into()),
            &pool.backend("b").unwrap(),
            false,
        );
        let pair = set.unwrap().to_str().unwrap().split(';').next().unwrap().to_owned();
        assert_eq!(
            said(&shared, &format!("--header Cookie:{pair}")).await,
            [
                "cookie veil_backend: names \"b\", who goes first while it has a place",
                "1  b      10.0.0.2:80  primary  weight 1  named by the cookie",
            ]
        );
    }

    #[tokio::test]
    async fn a_backend_that_is_not_there_cannot_be_down() {
        let error = explained("--client 192.0.2.1 --down spar")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean \"spare\"?"), "{error}");
    }

    #[tokio::test]
    async fn without_the_named_header_the_client_is_the_key() {
        let explanation = explained("--client 192.0.2.1").await.unwrap();
        assert_eq!(explanation.pool.unwrap().key, "192.0.2.1");
    }
}
