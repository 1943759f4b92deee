//! What is compared of copies: all that another backend sees of requests.

use std::collections::BTreeSet;

use e2e::backend::{Answer, Backend};
use e2e::nginx::Nginx;
use e2e::raw::Raw;
use e2e::until::{SOON, until};

use super::{Imported, OWN};

const PLACES: &str = "
  mirror /mirror;
  location / { proxy_pass http://app; }
  location = /mirror { internal; proxy_pass http://shadow$request_uri; proxy_set_header X-Mirror 1; proxy_set_header Host $host; }
  location /quiet/ { mirror off; proxy_pass http://app; }
  location /heads/ { mirror /heads-mirror; mirror_request_body off; proxy_pass http://app; proxy_set_header X-Main 1; }
  location /heads-mirror { internal; proxy_pass http://shadow; proxy_pass_request_body off; proxy_set_header Content-Length ''; }
  location /fixed/ { mirror /fixed-mirror; proxy_pass http://app/other/; }
  location = /fixed-mirror { internal; proxy_pass http://shadow/to; }
  location /twice/ { mirror /mirror; mirror /fixed-mirror; proxy_pass http://app; }
  location /some/ { mirror /some-mirror; proxy_pass http://app; }
  location = /some-mirror { internal; if ($arg_copy = no) { return 400; } proxy_pass http://$picked$request_uri; }
  location /told/ { mirror /tell; mirror_request_body off; proxy_pass http://app; }
  location = /tell {
    internal; proxy_method GET; proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_set_header X-URI $request_uri;
    proxy_pass http://shadow/report?line=$line&host=$server_name;
  }
  location /streamed/ { proxy_request_buffering off; proxy_pass http://app; }
";

const REQUESTS: [(&str, &str, usize); 13] = [
    ("POST", "/told/x?y", 1),
    ("GET", "/a?b=c", 1),
    ("POST", "/a%20b", 1),
    ("PUT", "/", 1),
    ("HEAD", "/head", 1),
    ("GET", "/quiet/x", 0),
    ("POST", "/heads/x?y", 1),
    ("GET", "/fixed/x?y", 1),
    ("POST", "/twice/x", 2),
    ("GET", "/some/x?p=", 0),
    ("GET", "/some/x?p=w", 1),
    ("POST", "/some/x?p=w&copy=no", 0),
    ("POST", "/streamed/x", 1),
];

#[test]
fn copies_are_what_nginx_sends() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let copies = |is_nginx: bool| -> Vec<BTreeSet<String>> {
        let (app, shadow) = (Backend::named("app"), Backend::start(|_| Answer::ok("shadow")));
        let address = Nginx::free_address();
        let http = format!(
            "upstream app {{ server {}; }} upstream shadow {{ server {}; }} map $arg_p $picked {{ default ''; w shadow; }} \
             server {{ listen {address}; server_name a.test; set $line one; {PLACES} }}",
            app.address, shadow.address
        );
        let nginx = is_nginx.then(|| Nginx::start(binary, address, &http));
        let veil = (!is_nginx).then(|| Imported::start(address, &http));
        let address = veil.as_ref().map_or(address, |veil| veil.veil.public);
        let mut seen = Vec::new();
        let mut before = 0;
        for (method, target, count) in REQUESTS {
            let body = if matches!(method, "GET" | "HEAD") {
                "\r\n"
            } else {
                "Content-Length: 3\r\n\r\nabc"
            };
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Client: 1\r\n{body}");
            Raw::connect(address).send(request).rest();
            let all = until("the copies", SOON, || {
                Some(shadow.received()).filter(|all| all.len() >= before + count)
            });
            seen.push(
                all[before..]
                    .iter()
                    .map(|copy| {
                        let fields = copy
                            .all()
                            .filter(|(name, _)| !OWN.contains(&name.to_ascii_lowercase().as_str()));
                        let fields: BTreeSet<String> = fields
                            .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
                            .collect();
                        format!(
                            "{method} {target}: {} {} {fields:?} {}",
                            copy.method(),
                            copy.path(),
                            copy.body_digest
                        )
                    })
                    .collect(),
            );
            before = all.len();
        }
        drop((nginx, veil));
        seen
    };
    let (theirs, ours) = (copies(true), copies(false));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs);
    }
}
