//! What is compared where slashes are kept: a matter of a whole listener.

use e2e::backend::{Answer, Backend};
use e2e::nginx::Nginx;
use e2e::raw::Raw;

use super::{Imported, said, seen};

const PLACES: &str = "
  location / { proxy_pass http://echo; }
  location /fetch/http://a.test/ { return 200 fetch; }
  location ~ ^/by/(https?://[^/]+)/(.*)$ { proxy_pass http://echo/from/$2?host=$1; }
  location /cut/ { rewrite ^/cut/(.*)$ /$1 break; proxy_pass http://echo; }
  location /in/ { proxy_pass http://echo/place/; }
  location /say { return 200 $uri; }
  location /two// { return 201; }
  location /merged { rewrite (.*)//+(.*) $1/$2 permanent; return 200 $uri; }
";

const TARGETS: [&str; 17] = [
    "/merged//a///b",
    "/merged/a/b",
    "/merged%2F/a",
    "/a//b",
    "//",
    "/fetch/http://a.test/x",
    "/fetch/http:/a.test/x",
    "/by/http://b.test/c//d?e",
    "/by/http:/b.test/c",
    "/cut/http://c.test/d",
    "/in/a//b",
    "/say//x///y/",
    "/say//../x",
    "/say/./x//.",
    "/say%2F%2Fx",
    "/two//x",
    "/two/x",
];

#[test]
fn slashes_that_are_kept_are_matched_as_by_nginx() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let echo = Backend::start(|received| Answer::Pieces(vec![(Default::default(), said(received))]));
    let address = Nginx::free_address();
    let http = format!(
        "merge_slashes off; upstream echo {{ server {}; }} server {{ listen {address}; {PLACES} }}",
        echo.address
    );
    let nginx = Nginx::start(binary, address, &http);
    let veil = Imported::start(address, &http);
    let mut wrong = Vec::new();
    for target in TARGETS {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let ask = |address| seen(&Raw::connect(address).send(&request).rest());
        let (theirs, ours) = (ask(address), ask(veil.veil.public));
        if theirs != ours {
            wrong.push(format!("{target}\n  nginx: {theirs:?}\n  veil:  {ours:?}"));
        }
    }
    drop(nginx);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
