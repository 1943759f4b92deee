//! What users of other proxies have reported of them, tried here; each with the report.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use e2e::backend::{Answer, Backend};
use e2e::raw::Raw;

use super::{ask, folder, html, veil, veil_with};

fn pieces(head: &str, body: &[u8]) -> Answer {
    let head = format!("{head}\r\nConnection: close\r\n\r\n");
    Answer::Pieces(vec![(Duration::ZERO, [head.as_bytes(), body].concat())])
}

/// traefik#2132, #4036, #12657, #12994: whom an authority asks about is not for the client to say. traefik#7923: it is told
/// the host that the client asked for. Caddy's `copy_headers`: a field that the authority leaves out is not the client's.
#[test]
fn an_authority_hears_no_lies_and_its_fields_are_its_own() {
    let app = Backend::named("private");
    let login = Backend::named("");
    let lies = [
        "X-Forwarded-Host",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Prefix",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "Forwarded",
        "X-Original-URL",
        "X-Rewrite-URL",
    ];
    let auth = format!(
        "{{ forward_auth: {{ pool: login, set: [X-User, X-Groups], see: [Cookie, {}] }} }}",
        lies[1..].join(", ")
    );
    let veil = veil_with(
        &format!("  - {{ match: {{ path_prefix: / }}, pool: app, filters: [{auth}] }}\n"),
        &[("app", &app), ("login", &login)],
    );
    let told: String = lies.iter().map(|name| format!("\r\n{name}: lie.test")).collect();
    let answer = ask(
        &veil,
        &format!("GET /private HTTP/1.1\r\nHost: a.test{told}\r\nX-User: root\r\nx-uSER: root\r\nX-Groups: wheel"),
    );
    assert_eq!(answer.status(), 200);
    let asked = login.received().pop().unwrap();
    assert_eq!(asked.header("x-forwarded-host"), Some("a.test"));
    assert_eq!(asked.header("x-original-uri"), Some("/private"));
    for (who, asked) in [("authority", asked), ("application", app.received().pop().unwrap())] {
        let lie = asked.all().find(|(_, value)| value.contains("lie.test"));
        assert_eq!(lie, None, "{who}");
    }
    let asked = app.received().pop().unwrap();
    assert_eq!((asked.header("x-user"), asked.header("x-groups")), (None, None));
}

/// caddy#2892, freeunit#391: HEAD says what GET would, and no length but the right one. caddy#5031: a part stays as it is.
/// caddy#38: no length of what it was before.
#[test]
fn compression_says_the_same_of_head_and_leaves_parts_alone() {
    let text = "much the same all over again, ".repeat(500);
    let backend = Backend::start({
        let text = text.clone();
        move |request| {
            let head = |status: &str, more: &str, length: usize| {
                format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nETag: \"one\"{more}\r\nContent-Length: {length}"
                )
            };
            match (request.method(), request.path()) {
                ("HEAD", _) => pieces(&head("200 OK", "", text.len()), b""),
                (_, "/vouched") => {
                    let more =
                        "\r\nRepr-Digest: sha-256=:AA==:\r\nContent-Digest: sha-256=:AA==:\r\nDigest: sha-256=AA==";
                    pieces(&head("200 OK", more, text.len()), text.as_bytes())
                }
                (_, "/part") => {
                    let range = format!("\r\nContent-Range: bytes 0-8999/{}", text.len());
                    pieces(&head("206 Partial Content", &range, 9000), &text.as_bytes()[..9000])
                }
                (_, "/as-it-is") => {
                    let more = "\r\nCache-Control: public, no-transform";
                    pieces(&head("200 OK", more, text.len()), text.as_bytes())
                }
                _ => pieces(&head("200 OK", "", text.len()), text.as_bytes()),
            }
        }
    });
    let veil = veil("{ compression: {} }", Some(&backend));
    let head_of = |method: &str, path: &str, accepted: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accepted}\r\nConnection: close\r\n\r\n");
        let answer = Raw::connect(veil.public).send(request).rest();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let mut fields: Vec<String> = String::from_utf8_lossy(&answer[..end])
            .lines()
            .map(str::to_ascii_lowercase)
            .filter(|line| {
                [
                    "content-encoding:",
                    "content-length:",
                    "etag:",
                    "vary:",
                    "repr-",
                    "content-digest",
                    "digest",
                ]
                .iter()
                .any(|name| line.starts_with(name))
            })
            .collect();
        fields.sort();
        (fields, answer[end + 4..].to_vec())
    };
    for accepted in ["gzip", "identity", "br;q=0.5, zstd"] {
        let (get, head) = (head_of("GET", "/", accepted), head_of("HEAD", "/", accepted));
        assert_eq!(get.0, head.0, "{accepted}");
        assert!(head.1.is_empty(), "{accepted}");
    }
    assert!(head_of("GET", "/", "gzip").0.contains(&"etag: w/\"one\"".to_owned()));
    // RFC 9530: nobody vouches for bytes that are others.
    let vouching = |accepted: &str| {
        let (fields, _) = head_of("GET", "/vouched", accepted);
        fields.iter().filter(|field| field.contains("digest:")).count()
    };
    assert_eq!((vouching("gzip"), vouching("identity")), (0, 3));
    for (path, accepted, length) in [
        ("/part", "gzip", 9000),
        ("/as-it-is", "gzip", text.len()),
        ("/", "gzip;q=0", text.len()),
        ("/", "*;q=0", text.len()),
        ("/", "gzip;q=0.0, *;q=0", text.len()),
        ("/", "", text.len()),
    ] {
        let (fields, body) = head_of("GET", path, accepted);
        assert!(
            fields.contains(&format!("content-length: {length}")),
            "{path} {accepted}: {fields:?}"
        );
        assert!(
            !fields.iter().any(|field| field.starts_with("content-encoding")),
            "{path} {accepted}"
        );
        assert_eq!(body.len(), length, "{path} {accepted}");
    }
}

/// traefik#9230: the page is not in the coding of what it replaces. traefik#8926: a large one keeps the status.
/// traefik#8963: it has its type, and the fields that are not about the body stay.
#[test]
fn an_error_page_is_no_answer_of_the_backends() {
    let page = "<p>sorry</p>".repeat(20_000);
    let folder = folder(&[("page.html", page.as_bytes())]);
    let backend = Backend::start(|request| {
        let more = match request.path() {
            "/login" => "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"it\"",
            "/later" => "503 Busy\r\nRetry-After: 7",
            _ => "404 Not Found\r\nContent-Range: bytes */7\r\nContent-Disposition: attachment",
        };
        let coded =
            "Content-Type: application/zip\r\nContent-Encoding: gzip\r\nLast-Modified: Mon, 30 Nov 2026 00:00:00 GMT";
        pieces(
            &format!("HTTP/1.1 {more}\r\n{coded}\r\nContent-Length: 4"),
            b"\x1f\x8b\0\0",
        )
    });
    let filter = format!(
        "{{ error_page: {{ status: [4xx, 5xx], file: {} }} }}",
        folder.path().join("page.html").display()
    );
    let routes =
        format!("  - {{ match: {{ path_prefix: / }}, pool: app, retry: {{ attempts: 1 }}, filters: [{filter}] }}\n");
    let veil = veil_with(&routes, &[("app", &backend)]);
    for (path, status, kept) in [
        ("/", 404, None),
        ("/login", 401, Some(("www-authenticate", "Basic realm=\"it\""))),
        ("/later", 503, Some(("retry-after", "7"))),
    ] {
        let answer = ask(&veil, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/html"));
        assert_eq!((answer.status(), answer.body.len()), (status, page.len()), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        for gone in [
            "content-encoding",
            "content-range",
            "content-disposition",
            "last-modified",
        ] {
            assert_eq!(answer.header(gone), None, "{path}: {gone}");
        }
        if let Some((name, value)) = kept {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
}

/// caddy#7330, #8023: no path sends anybody to another site. caddy#1835: a name that ends like the index is a name.
/// caddy#7040: what is kept compressed has its own length. CVE-2011-3192: many ranges are no multiple of the file.
#[test]
fn files_send_nobody_away_and_are_no_more_than_they_are() {
    let folder = folder(&[
        ("index.html", b"home"),
        ("test-index.html", b"a name"),
        ("app.js", b"plain plain plain"),
        ("app.js.gz", b"packed"),
    ]);
    for name in ["sub", "example.com", "sub/example.com", "\\example.com"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    symlink("/etc", folder.path().join("away")).unwrap();
    symlink("/etc/hostname", folder.path().join("hostname")).unwrap();
    let filter = format!(
        "{{ files: {{ root: {}, precompressed: true }} }}",
        folder.path().display()
    );
    let veil = veil(&filter, None);
    for path in [
        "/sub",
        "//sub",
        "//example.com",
        "/%5Cexample.com",
        "/\\example.com",
        "//example.com/%2e%2e/example.com",
        "/%5C%5Cexample.com/%252e%252e",
        "/sub/..%2F%5cexample.com%2F%3f%2F..%2F..",
        "/%2Fexample.com",
        "/.//example.com",
        "/sub/..//example.com",
        "/example.com?next=//example.com",
        "/sub%0d%0aLocation:%20http:%2F%2Fexample.com",
    ] {
        let answer = ask(&veil, &format!("GET {path} HTTP/1.1\r\nHost: a"));
        let leads = answer.header("location").unwrap_or("/");
        let is_here = leads.starts_with('/') && !leads[1..].starts_with(['/', '\\']);
        assert!(is_here && !leads.contains(['\r', '\n']), "{path}: {leads}");
        assert!(
            matches!(answer.status(), 200 | 301 | 400 | 404),
            "{path}: {}",
            answer.status()
        );
    }
    let get = |path: &str, more: &str| ask(&veil, &format!("GET {path} HTTP/1.1\r\nHost: a{more}"));
    assert_eq!(get("/test-index.html", "").body, b"a name");
    for path in ["/away/hostname", "/hostname", "/away/", "/index.html/", "/app.js/x"] {
        assert_eq!(get(path, "").status(), 404, "{path}");
    }
    let packed = get("/app.js", "\r\nAccept-Encoding: gzip");
    assert_eq!(
        (packed.header("content-encoding"), packed.header("vary"), &*packed.body),
        (Some("gzip"), Some("Accept-Encoding"), b"packed".as_slice())
    );
    let plain = get("/app.js", "");
    assert_eq!(
        (plain.header("vary"), &*plain.body),
        (Some("Accept-Encoding"), b"plain plain plain".as_slice())
    );
    assert_ne!(packed.header("etag"), plain.header("etag"));
    for range in [
        format!("bytes={}", ["0-"; 500].join(",")),
        format!("bytes={}", ["5-8"; 500].join(", ")),
        "bytes=5-2".to_owned(),
        "bytes=-".to_owned(),
        "bytes=99999999999999999999-".to_owned(),
        "lines=1-2".to_owned(),
    ] {
        let part = get("/app.js", &format!("\r\nRange: {range}"));
        assert!(part.body.len() <= 17 || part.status() == 416, "{range}");
        assert!(matches!(part.status(), 200 | 206 | 416), "{range}: {}", part.status());
    }
    let other = get("/app.js", "\r\nRange: bytes=0-3\r\nIf-Range: \"other\"");
    assert_eq!((other.status(), &*other.body), (200, b"plain plain plain".as_slice()));
}

/// caddy#1327, #2555, #4179: whose path has lost its beginning on the way is sent to a folder by the path that it knows.
#[test]
fn a_folder_is_where_the_client_knows_it_to_be() {
    let folder = folder(&[("index.html", b"home")]);
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/index.html"), "sub").unwrap();
    let files = format!("{{ files: {{ root: {} }} }}", folder.path().display());
    let routes = [
        format!("{{ match: {{ path_prefix: /docs/ }}, filters: [{{ strip_prefix: /docs }}, {files}] }}"),
        format!(
            "{{ match: {{ path_prefix: /other/ }}, filters: [{{ strip_prefix: /other }}, {{ rewrite: {{ to: /sub }} }}, {files}] }}"
        ),
        format!("{{ match: {{ path_prefix: / }}, filters: [{files}] }}"),
    ];
    let routes: String = routes.iter().map(|route| format!("  - {route}\n")).collect();
    let veil = veil_with(&routes, &[]);
    for (asked, leads) in [
        ("/docs/sub?a=b", "/docs/sub/?a=b"),
        ("/docs//%73ub", "/docs/sub/"),
        ("/sub", "/sub/"),
        ("/other/x", "/sub/"),
    ] {
        let answer = ask(&veil, &format!("GET {asked} HTTP/1.1\r\nHost: a"));
        assert_eq!(
            (answer.status(), answer.header("location")),
            (301, Some(leads)),
            "{asked}"
        );
        assert_eq!(
            ask(&veil, &format!("GET {leads} HTTP/1.1\r\nHost: a")).body,
            b"sub",
            "{asked}"
        );
    }
}

/// caddy#7330, #8023, CVE-2020-15129 of traefik: a redirect within a site leads to no other one, however browsers read slashes.
#[test]
fn a_redirect_within_a_site_stays_there() {
    let routes = [
        "{ match: { path_prefix: /to/ }, filters: [{ redirect: { to: //cdn.test$path } }] }",
        "{ match: { path_regex: '^/go/(.*)$' }, filters: [{ redirect: { to: /$capture_1 } }] }",
        "{ match: { path_prefix: /, query: { rewritten: { present: true } } }, \
         filters: [{ rewrite: { path: '^(.*)$', to: '$capture_1/', then: redirect } }, { respond: { status: 404 } }] }",
        "{ match: { path_prefix: /, query: { sent: { present: true } } }, filters: [{ redirect: { to: $request_uri } }] }",
        "{ match: { path_prefix: / }, filters: [{ redirect: { to: $path/ } }] }",
    ];
    let routes: String = routes.iter().map(|route| format!("  - {route}\n")).collect();
    let veil = veil_with(&routes, &[]);
    let leads = |asked: &str| {
        let answer = ask(&veil, &format!("GET {asked} HTTP/1.1\r\nHost: a.test"));
        answer.header("location").map(str::to_owned)
    };
    for path in [
        "//evil.test",
        "/\\evil.test",
        "/%5Cevil.test",
        "/%5c%5c/evil.test",
        "/%09/evil.test",
        "/%09%5cevil.test",
        "/.//evil.test",
        "/go//evil.test",
        "/go/%5Cevil.test",
        "/go/%2F%5cevil.test",
        "/go/%09//evil.test",
    ] {
        for query in ["", "?rewritten=", "?sent="] {
            let location = leads(&format!("{path}{query}")).unwrap_or_else(|| "/".to_owned());
            let second = location.trim_start_matches('/').len() + 1 == location.len();
            assert!(
                second && !location[1..].starts_with(['\\', '\t']),
                "{path}{query}: {location}"
            );
        }
    }
    assert_eq!(leads("/to/a").as_deref(), Some("//cdn.test/to/a"));
    assert_eq!(leads("/go/a//b%20c").as_deref(), Some("/a/b%20c"));
    assert_eq!(leads("/a?sent=//b").as_deref(), Some("/a?sent=//b"));
}

/// Of many limiters: a client that says another address in each request is one client all the same.
#[test]
fn a_limit_counts_no_made_up_addresses() {
    let backend = Backend::start(|_| html(200, "it"));
    let veil = veil("{ rate_limit: { rate: 1/m, burst: 2 } }", Some(&backend));
    let statuses: Vec<u16> = (0..5)
        .map(|number| {
            let lies = [
                "X-Forwarded-For",
                "Forwarded",
                "X-Real-IP",
                "CF-Connecting-IP",
                "True-Client-IP",
                "X-Client-IP",
            ];
            let lies: String = lies
                .iter()
                .map(|name| format!("\r\n{name}: 203.0.113.{number}"))
                .collect();
            ask(&veil, &format!("GET / HTTP/1.1\r\nHost: a{lies}")).status()
        })
        .collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
}
