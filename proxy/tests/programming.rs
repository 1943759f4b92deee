//! `conf/programming.md` says what is: each line and each script in it runs, and each function there is stands in it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use http::Method;
use veil::config::rehearsal::Asked;
use veil::filter::{FilterConfig, ResponseHeader, Verdict, Workshop};
use veil::request::Scheme;
use veil::script::{Condition, Seen, functions};

const DOCUMENT: &str = include_str!("../../conf/programming.md");

fn asked(path: &str) -> Asked {
    let mut asked = Asked::new(&Method::POST, Scheme::Https, "shop.test", path, [192, 0, 2, 1].into()).unwrap();
    for (name, value) in [
        ("cookie", "session=abc; theme=dark"),
        ("user-agent", "Mozilla/5.0"),
        ("accept", "text/html"),
        ("accept", "*/*"),
    ] {
        asked.head.append_header(name, value).unwrap();
    }
    asked
}

/// The code blocks with this mark.
fn blocks(mark: &str) -> Vec<&'static str> {
    let begins = format!("```{mark}\n");
    let blocks = DOCUMENT.split(begins.as_str()).skip(1);
    blocks.map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn each_condition_holds() {
    let asked = asked("/cart?item=7&note=a%20b");
    let mut count = 0;
    for line in blocks("rhai condition").iter().flat_map(|block| block.lines()) {
        let condition: Condition =
            serde_yaml::from_value(line.into()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let held = condition.holds(Seen::of(&asked.head, &asked.ctx), "document");
        assert_eq!(held, Ok(true), "{line}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn the_script_does_what_is_said() {
    let script = blocks("rhai")[0];
    let indented: String = script.lines().map(|line| format!("      {line}\n")).collect();
    let yaml = format!(
        "script:\n  on_error: closed\n  pools: [gold]\n  settings: {{ secret: s }}\n  limits: {{ time: 10ms }}\n  inline: |\n{indented}"
    );
    let filter: FilterConfig = serde_yaml::from_str(&yaml).unwrap();
    let filter = filter.build(&Workshop::default()).unwrap();

    // A machine that others use too may let it wait for longer than its limit.
    let mut asks = (0..50).map(|_| {
        let Asked { mut head, mut ctx, .. } = asked("/cart?item=7&note=a%20b");
        let verdict = filter.on_request(&mut head, &mut ctx);
        (verdict, head, ctx)
    });
    let (_, head, ctx) = asks
        .find(|(verdict, ..)| matches!(verdict, Verdict::Continue))
        .expect("it lets this go on");
    let fields: BTreeMap<String, Vec<&str>> = head
        .headers
        .keys()
        .map(|name| {
            (
                name.to_string(),
                head.headers
                    .get_all(name)
                    .iter()
                    .map(|value| value.to_str().unwrap())
                    .collect(),
            )
        })
        .collect();
    assert_eq!(fields["x-client"], ["192.0.2.1"]);
    assert_eq!(fields["accept"], ["text/html", "*/*", "image/png"]);
    assert_eq!(fields["cookie"], ["theme=light"]);
    assert!(!fields.contains_key("user-agent"));
    assert_eq!(ctx.notes.target.as_deref(), Some("/v2/cart?item=7"));
    assert_eq!(
        (ctx.notes.noted("tenant"), ctx.notes.key.as_deref()),
        (Some("acme"), Some("acme"))
    );
    assert_eq!(ctx.notes.wanted_pool.as_deref(), Some("gold"));

    let mut response = ResponseHeader::build(404, None).unwrap();
    response.insert_header("Server", "its own").unwrap();
    assert!(filter.on_response(&mut response, &head, &ctx).is_none());
    assert_eq!(response.status, 410);
    assert_eq!(
        (&response.headers["x-was"], &response.headers["vary"]),
        (&"its own".parse().unwrap(), &"X-Client".parse().unwrap())
    );
    assert!(!response.headers.contains_key("server"));

    for (path, status, field) in [
        ("/old/a", 301, Some(("location", "/new/"))),
        ("/ping", 200, Some(("content-type", "text/plain; charset=utf-8"))),
        ("/page", 200, Some(("content-type", "text/html"))),
        ("/else", 302, Some(("location", "https://else.test/"))),
    ] {
        let Asked { mut head, mut ctx, .. } = asked(path);
        let Verdict::Answer(answer) = filter.on_request(&mut head, &mut ctx) else {
            panic!("{path} is not answered: {:?}", ctx.notes.failed_script);
        };
        assert_eq!(answer.status(), status, "{path}");
        let (name, value) = field.unwrap();
        assert_eq!(answer.headers()[name], value, "{path}");
    }
}

#[test]
fn each_function_is_there_to_be_read() {
    let missing: Vec<String> = functions()
        .into_iter()
        .filter(|name| !DOCUMENT.contains(name.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
