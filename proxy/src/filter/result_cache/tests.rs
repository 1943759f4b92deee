#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::filter::testing::{ctx, ok, request};

const TTL: Duration = Duration::from_secs(60);

fn answer(fields: &[(&'static str, &str)]) -> ResponseHeader {
    let mut head = ok();
    for (name, value) in fields {
        head.append_header(*name, *value).unwrap();
    }
    head
}

fn written(head: &ResponseHeader, body: &[&[u8]], largest: usize) -> Option<Vec<u8>> {
    let begun = Writing::begin(head, SystemTime::now(), largest);
    body.iter().try_fold(begun?, |writing, piece| writing.with(piece))?.whole()
}

#[test]
fn an_answer_comes_back_as_it_was_but_for_what_was_of_its_time() {
    let head = answer(&[
        ("content-type", "image/jpeg"),
        ("x-veil-faces", "1"),
        ("x-veil-faces", ""),
        ("date", "now"),
        ("server-timing", "a"),
        ("age", "10"),
        ("content-length", "6"),
    ]);
    let text = Bytes::from(written(&head, &[b"\n\nab", b"\n\n"], 6).unwrap());
    let later = SystemTime::now() + Duration::from_secs(30);
    let kept = Kept::read(&text, later, TTL).unwrap().into_response();
    let fields: Vec<_> = kept.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(fields[..3], ["content-type: image/jpeg", "x-veil-faces: 1", "x-veil-faces: "]);
    assert!(["age: 39", "age: 40"].contains(&&*fields[3]), "{fields:?}");
    assert_eq!(fields[4..], ["cache-status: Veil; hit"]);
    assert!(matches!(kept.body(), super::super::Content::Bytes(bytes) if bytes == "\n\nab\n\n"));
    assert!(Kept::read(&text, SystemTime::now() + TTL, TTL).is_none(), "too old");
    assert!(Kept::read(&text, SystemTime::now() - TTL * 2, TTL).is_none(), "of a clock gone wrong");
    for end in 0..text.len() - 6 {
        assert!(Kept::read(&text.slice(..end), later, TTL).is_none(), "{end}");
    }
}

#[test]
fn what_is_not_whole_not_good_or_too_large_is_not_kept() {
    let promised = answer(&[("content-length", "5")]);
    assert!(written(&promised, &[b"abc", b"de"], 5).is_some());
    assert!(written(&promised, &[b"abc"], 5).is_none(), "broken off");
    assert!(written(&promised, &[b"abc", b"def"], 5).is_none(), "longer than it said");
    assert!(written(&promised, &[b"abc", b"de"], 4).is_none(), "too large");
    assert!(written(&ok(), &[b"abc"], 5).is_none(), "nobody knows where it ends");
    for field in [("set-cookie", "a=b"), ("content-range", "bytes 0-0/1"), ("www-authenticate", "Basic"), ("vary", "accept, User-Agent"), ("vary", "*"), ("vary", "x-forwarded-for")] {
        assert!(written(&answer(&[("content-length", "1"), field]), &[b"a"], 5).is_none(), "{field:?}");
    }
    assert!(written(&answer(&[("content-length", "1"), ("vary", "Accept")]), &[b"a"], 5).is_some());
    let mut missing = ResponseHeader::build(404, None).unwrap();
    missing.insert_header("content-length", 1).unwrap();
    assert!(written(&missing, &[b"a"], 5).is_none());
}

fn name(scope: &[&[u8]], fields: &[(&'static str, &str)], path: &str) -> String {
    let secret = Secret::of(&[7; 32]);
    let digest = secret.digest(scope, &request("POST", path, fields), &ctx("192.0.2.1"));
    digest.done().name().to_owned()
}

#[test]
fn whatever_a_backend_may_look_at_tells_requests_apart() {
    let base = name(&[b"1", b""], &[("x-a", "bc")], "/a?b");
    for other in [
        name(&[b"2", b""], &[("x-a", "bc")], "/a?b"),
        name(&[b"1", b"tenant"], &[("x-a", "bc")], "/a?b"),
        name(&[b"", b"1"], &[("x-a", "bc")], "/a?b"),
        name(&[b"1", b""], &[("x-a", "bc"), ("x-forwarded-host", "evil")], "/a?b"),
        name(&[b"1", b""], &[("x-a", "b"), ("c", "")], "/a?b"),
        name(&[b"1", b""], &[("x-ab", "c")], "/a?b"),
        name(&[b"1", b""], &[("x-a", "bc")], "/a?b="),
        name(&[b"1", b""], &[("x-a", "bc"), ("x-a", "bc")], "/a?b"),
        name(&[b"1", b""], &[("x-a", "bc"), ("content-type", "")], "/a?b"),
    ] {
        assert_ne!(base, other);
    }
    let way = [("user-agent", "b"), ("x-a", "bc"), ("x-forwarded-for", "192.0.2.1"), ("traceparent", "1")];
    assert_eq!(base, name(&[b"1", b""], &way, "/a?b"));
}

#[test]
fn only_the_same_request_opens_an_answer() {
    let key = |path| {
        let digest = Secret::of(&[7; 32]).digest(&[], &request("POST", path, &[]), &ctx("192.0.2.1"));
        digest.done()
    };
    let sealed = key("/a").seal(b"text".to_vec()).unwrap().to_vec();
    assert_eq!(key("/a").open(sealed.clone()).unwrap(), "text");
    assert!(key("/b").open(sealed.clone()).is_none());
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(key("/a").open(changed).is_none(), "{place}");
        assert!(key("/a").open(sealed[..place].to_vec()).is_none(), "{place}");
    }
}

#[tokio::test]
async fn each_store_gives_back_what_it_was_given_and_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    for store in [
        "memory: { size: 16KiB }".to_owned(),
        format!("folder: {{ path: {}, key_file: none, size: 16KiB }}", folder.path().display()),
    ] {
        let store: serde_yaml::Value = serde_yaml::from_str(&store).unwrap();
        let config: StoreConfig = serde_yaml::with::singleton_map::deserialize(store).unwrap();
        let limits = shelf::Limits {
            ttl: TTL,
            timeout: TTL,
            largest: 100_000,
        };
        let shelf = Shelf::new(&config, limits).unwrap();
        let name = |number: usize| format!("{number:064x}");
        let get = async |number| shelf.get(&name(number)).await.ok().unwrap();
        let put = async |number, length| {
            let sealed = Bytes::from(vec![number as u8; length]);
            assert!(shelf.put(&name(number), sealed).await.is_ok());
        };
        for number in 0..60 {
            put(number, 1000).await;
            put(number, 900).await;
            assert_eq!(get(number).await.unwrap(), vec![number as u8; 900], "{config:?}");
        }
        let mut kept = 0;
        for number in 0..60 {
            kept += usize::from(get(number).await.is_some());
        }
        assert!((8..20).contains(&kept), "{config:?}: {kept}");
        put(0, 20_000).await;
        assert_eq!(get(0).await.filter(|kept| kept.len() == 20_000), None, "{config:?}");
    }
}
