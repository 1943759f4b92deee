//! `health_check` and `match` of NGINX Plus become a pool's checks.

use std::collections::BTreeMap;

use super::draft::{Draft, Map};
use super::fields;
use super::passing::kind;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::target::name_and_path;
use super::texts;
use super::values;
use crate::yaml::units::Duration;

/// The checks of upstreams, each with the place that it is said in.
pub type Checks<'a> = BTreeMap<&'a str, (&'a Directive, Scope<'a>)>;

/// Those of all locations in a block: each is for the upstream that its location passes requests on to.
pub fn checks<'a>(scope: &Scope<'a>, checks: &mut Checks<'a>) {
    for block in scope.own() {
        if !matches!(block.name.as_str(), "server" | "location" | "if") {
            continue;
        }
        let within = scope.within(block);
        let passed = within
            .own_named("proxy_pass")
            .chain(within.own_named("grpc_pass"))
            .next();
        if let (Some(check), Some(pass)) = (within.own_named("health_check").next(), passed) {
            let url = pass.word(0);
            let name = url.split_once("://").map_or(url, |(_, name)| name);
            checks
                .entry(name_and_path(name).0)
                .or_insert_with(|| (check, within.clone()));
        }
        self::checks(&within, checks);
    }
}

/// `health_check [interval=5s] [jitter=0] [fails=1] [passes=1] [uri=/] [port=N] [match=NAME] [mandatory [persistent]]` for the
/// upstream of that name.
pub fn health(directive: &Directive, upstream: &str, scope: &Scope, http: &Scope, report: &mut Report) -> Map {
    let said = |key: &str| {
        let mut words = directive.texts().filter_map(|word| word.split_once('='));
        words.find_map(|(name, value)| (name == key).then_some(value))
    };
    if said("type") == Some("grpc") {
        report.changed(
            directive,
            "a server is well that takes a connection: it is not asked by gRPC",
        );
        return of_calls([said("interval"), said("jitter"), said("port"), said("fails")]);
    }
    let count = |key: &str| said(key).and_then(|count| count.parse::<u32>().ok()).unwrap_or(1);
    let mut health = Map::default().with("path", said("uri").unwrap_or("/"));
    health.put("host", host(upstream, scope));
    health.put_some("port", said("port").and_then(|port| port.parse::<u16>().ok()));
    health.put_part("headers", sent(scope));
    put_times(said("interval"), said("jitter"), &mut health);
    health.put("timeout", patience(scope, report));
    health.put("rise", count("passes"));
    health.put("fall", count("fails"));
    let expected = said("match").map(|name| http.own_named("match").find(|block| block.word(0) == name));
    let expect = match expected {
        Some(Some(block)) => expect(block, report),
        _ => Map::default().with("status", "200-399"),
    };
    if expect.has("body") {
        health.put("max_body", Draft::Scalar("256KiB".into()));
    }
    health.put("expect", expect);
    let known = [
        "interval",
        "jitter",
        "fails",
        "passes",
        "uri",
        "port",
        "match",
        "keepalive_time",
    ];
    let is_known = |word: &str| match word.split_once('=') {
        Some(("type", kind)) => kind == "http",
        Some((key, _)) => known.contains(&key),
        None => matches!(word, "mandatory" | "persistent" | ""),
    };
    match (directive.texts().find(|word| !is_known(word)), expected) {
        (Some(word), _) => report.missing(directive, format!("{word} is not known; checks go without it")),
        (None, Some(None)) => report.missing(directive, "its match is not there; statuses from 200 to 399 are good"),
        (None, _) if directive.texts().any(|word| word == "mandatory") => {
            report.changed(
                directive,
                "until the first answer to a check a server is asked as one that is up",
            );
        }
        (None, _) => report.carried(directive),
    }
    health
}

/// Of servers of gRPC, which answer nothing else.
fn of_calls([interval, jitter, port, fails]: [Option<&str>; 4]) -> Map {
    let mut health = Map::default().with("tcp", true);
    health.put_some("port", port.and_then(|port| port.parse::<u16>().ok()));
    put_times(interval, jitter, &mut health);
    health.put_some("fall", fails.and_then(|fails| fails.parse::<u32>().ok()).or(Some(1)));
    health
}

/// Nginx waits an interval and up to `jitter` more.
fn put_times(interval: Option<&str>, jitter: Option<&str>, health: &mut Map) {
    let time = |text: Option<&str>| text.and_then(values::time).map(Duration::get);
    let interval = time(interval)
        .filter(|interval| !interval.is_zero())
        .unwrap_or(INTERVAL);
    let jitter = time(jitter).unwrap_or_default();
    let longest = interval + jitter;
    health.put("interval", Duration::from_millis(longest.as_millis() as u64));
    let share = 100.0 * jitter.as_secs_f64() / longest.as_secs_f64();
    health.put("jitter", format!("{}%", share.floor()));
}

const INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

fn patience(scope: &Scope, report: &mut Report) -> Duration {
    let said = scope
        .time("proxy_read_timeout", report)
        .filter(|time| !time.get().is_zero());
    said.unwrap_or(Duration::from_secs(60))
}

/// Nginx: `$proxy_host`, unless `proxy_set_header` says another text; a check has no host of a client's.
fn host(upstream: &str, scope: &Scope) -> String {
    let said = scope.all(&format!("{}_set_header", kind(scope)));
    let mut hosts = said.iter().filter(|said| said.word(0).eq_ignore_ascii_case("host"));
    let host = hosts.next_back().map(|said| said.word(1));
    let host = host.filter(|host| !host.is_empty() && !texts::has_variables(host));
    host.unwrap_or(upstream).to_owned()
}

/// Fields of `proxy_set_header` that are the same for all requests.
fn sent(scope: &Scope) -> Map {
    let mut sent = Map::default();
    for said in scope.all(&format!("{}_set_header", kind(scope))) {
        let (name, value) = (said.word(0), said.word(1));
        let is_own = name.eq_ignore_ascii_case("host") || fields::frames(name) || fields::is_no_name(name);
        if !is_own && !value.is_empty() && !texts::has_variables(value) && !sent.has(name) {
            sent.put(name, value);
        }
    }
    sent
}

/// A `match` block.
fn expect(block: &Directive, report: &mut Report) -> Map {
    report.carried(block);
    let (mut expect, mut headers) = (Map::default(), Map::default());
    for directive in block.block.iter().flatten() {
        let words: Vec<&str> = directive.texts().collect();
        let is_read = match (directive.name.as_str(), words.as_slice()) {
            ("status", ["!", unwanted @ ..]) => put_once("status", others(unwanted), &mut expect),
            ("status", wanted) => put_once("status", ranges(wanted).map(listed), &mut expect),
            ("header", ["!", name]) => put_once(name, Some(present(false)), &mut headers),
            ("header", [name]) => put_once(name, Some(present(true)), &mut headers),
            ("header", [name, operator, value]) => put_once(name, compared(operator, value), &mut headers),
            ("body", [operator @ ("~" | "!~"), value]) => put_once("body", compared(operator, value), &mut expect),
            _ => false,
        };
        match is_read {
            true => report.carried(directive),
            false => report.missing(
                directive,
                "it is not known, or said twice; answers are not looked at for it",
            ),
        }
    }
    if !expect.has("status") {
        expect.put("status", "any");
    }
    expect.put_part("headers", headers);
    expect
}

fn put_once(key: &str, value: Option<Draft>, map: &mut Map) -> bool {
    let Some(value) = value.filter(|_| !map.has(key)) else {
        return false;
    };
    map.put(key, value);
    true
}

fn present(is_there: bool) -> Draft {
    Map::default().with("present", is_there).into()
}

/// `= TEXT`, `!= TEXT`, `~ EXPRESSION`, `!~ EXPRESSION`.
fn compared(operator: &str, value: &str) -> Option<Draft> {
    let text = || Draft::from(value.to_owned());
    let regex = || {
        let known = regex::Regex::new(value).is_ok();
        known.then(|| Draft::from(Map::default().with("regex", value)))
    };
    let not = |wanted: Draft| Map::default().with("not", wanted).into();
    match operator {
        "=" => Some(text()),
        "!=" => Some(not(text())),
        "~" => regex(),
        "!~" => regex().map(not),
        _ => None,
    }
}

/// `200`, `301-303`.
fn ranges(words: &[&str]) -> Option<Vec<(u16, u16)>> {
    let range = |word: &&str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        let is_one = (100..=599).contains(&first) && (first..=599).contains(&last);
        is_one.then_some((first, last))
    };
    let ranges: Option<Vec<_>> = words.iter().map(range).collect();
    ranges.filter(|ranges| !ranges.is_empty())
}

/// All statuses but those.
fn others(words: &[&str]) -> Option<Draft> {
    let mut unwanted = ranges(words)?;
    unwanted.sort_unstable();
    let (mut left, mut next) = (Vec::new(), 100);
    for (first, last) in unwanted {
        if first > next {
            left.push((next, first - 1));
        }
        next = next.max(last + 1);
    }
    if next <= 599 {
        left.push((next, 599));
    }
    (!left.is_empty()).then(|| listed(left))
}

fn listed(ranges: Vec<(u16, u16)>) -> Draft {
    let written = |(first, last): (u16, u16)| match first == last {
        true => Draft::from(first),
        false => format!("{first}-{last}").into(),
    };
    Draft::List(ranges.into_iter().map(written).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::draft;
    use super::super::syntax::parse;
    use super::*;

    fn imported(text: &str) -> (String, Report) {
        let directives = parse("x", text).unwrap();
        let http = Scope::of(&directives);
        let (mut report, mut all) = (Report::default(), Checks::new());
        checks(&http, &mut all);
        let (directive, scope) = &all["app"];
        let health = health(directive, "app", scope, &http, &mut report);
        (draft::written(&health), report)
    }

    #[test]
    fn statuses_that_are_not_wanted_leave_the_others() {
        for (words, left) in [
            (vec!["500"], "[100-499, 501-599]"),
            (vec!["400-599"], "[100-399]"),
            (vec!["301", "302"], "[100-300, 303-599]"),
            (vec!["100-199", "500-599"], "[200-499]"),
        ] {
            let yaml = draft::written(&Map::default().with("status", others(&words).unwrap()));
            let flat = yaml.split_whitespace().collect::<Vec<_>>().join(" ");
            let read: BTreeMap<String, serde_yaml::Value> = serde_yaml::from_str(&yaml).unwrap();
            let list = read["status"].as_sequence().unwrap();
            let list: Vec<_> = list.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
            assert_eq!(format!("[{}]", list.join(", ")), left, "{flat}");
        }
        assert!(others(&["100-599"]).is_none());
        assert!(others(&["x"]).is_none());
    }

    #[test]
    fn a_match_is_what_is_expected() {
        let (yaml, report) = imported(
            "match ok { status 200 301-303; header Content-Type = text/html; header X-A !~ ^b; header ! X-Gone; body !~ error; } \
             server { location @check { proxy_pass http://app; proxy_set_header Host app.test; proxy_set_header X-K v; \
             health_check interval=8s jitter=2s fails=3 passes=2 uri=/up?x port=81 match=ok; } }",
        );
        let health: BTreeMap<String, serde_yaml::Value> = serde_yaml::from_str(&yaml).unwrap();
        let text = |key: &str| serde_yaml::to_string(&health[key]).unwrap().trim().to_owned();
        assert_eq!(
            [text("path"), text("host"), text("port")],
            ["/up?x", "app.test", "81"].map(str::to_owned)
        );
        assert_eq!([text("interval"), text("jitter")], ["10s", "20%"].map(str::to_owned));
        assert_eq!([text("fall"), text("rise")], ["3", "2"].map(str::to_owned));
        assert_eq!(health["expect"]["headers"]["X-A"]["not"]["regex"], "^b");
        assert_eq!(health["expect"]["headers"]["X-Gone"]["present"], false);
        assert_eq!(health["expect"]["body"]["not"]["regex"], "error");
        assert_eq!(health["expect"]["status"][1], "301-303");
        assert!(!report.to_string().contains("missing: "), "{report}");
    }

    #[test]
    fn servers_of_grpc_are_asked_for_connections_alone() {
        let (yaml, report) =
            imported("server { location / { grpc_pass app; health_check type=grpc interval=3s fails=2; } }");
        assert!(yaml.contains("tcp: true") && !yaml.contains("path"), "{yaml}");
        assert!(!report.has_missing(), "{report}");
    }

    #[test]
    fn what_is_not_known_is_missing() {
        for text in [
            "server { location / { proxy_pass http://app; health_check type=other; } }",
            "server { location / { proxy_pass http://app; health_check match=none; } }",
            "match m { require $x; } server { location / { proxy_pass http://app; health_check match=m; } }",
            "match m { body ~ '(?=a)'; } server { location / { proxy_pass http://app; health_check match=m; } }",
        ] {
            let (_, report) = imported(text);
            assert!(report.to_string().contains("missing: "), "{text}: {report}");
        }
    }
}
