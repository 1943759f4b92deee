//! What is compared at a port of TLS: who comes there with plain HTTP.

use e2e::nginx::Nginx;
use e2e::openssl::{OWN, openssl};
use e2e::raw::Raw;

use super::{Imported, seen};

/// What a `server` holds beside its listener, its name and its certificate.
const SERVERS: [&str; 7] = [
    "location / { return 200 in; }",
    "error_page 497 https://$host$request_uri; location / { return 200 in; }",
    "error_page 497 =301 https://$host:8443$request_uri; location /a { return 200 in; }",
    "error_page 497 =308 $scheme://x.test$uri; add_header X-Always 1 always; add_header X-Not 1; location / { return 200 in; }",
    "error_page 400 /other; error_page 497 /page; location = /page { return 200 page; } location / { return 200 in; }",
    "error_page 400 https://wrong.test/; location / { deny all; return 200 in; }",
    "error_page 497 =200 @page; location @page { return 200 page; } location / { return 301 https://elsewhere.test/; }",
];

const REQUESTS: [&str; 4] = [
    "GET /a/b?c=d HTTP/1.1\r\nHost: NAME\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: NAME\r\nContent-Length: 3\r\n\r\nabc",
    "HEAD / HTTP/1.0\r\nHost: NAME\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

#[test]
fn plain_http_at_a_port_of_tls_is_answered_as_by_nginx() {
    let Some(binary) = Nginx::binary() else {
        e2e::skip("nginx", "nginx is not installed (Debian: apt-get install nginx)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let files = ["-subj", "/CN=a.test", "-keyout", "a.key", "-out", "a.crt"];
    openssl(folder.path(), &[&OWN[..], &files].concat());
    let address = Nginx::free_address();
    let pair = format!(
        "ssl_certificate {0}/a.crt; ssl_certificate_key {0}/a.key;",
        folder.path().display()
    );
    let server = |(index, more): (usize, &&str)| {
        format!("server {{ listen {address} ssl; server_name c{index}.test; {more} }}\n")
    };
    let servers: String = SERVERS.iter().enumerate().map(server).collect();
    let http = format!("{pair}\n{servers}");
    let nginx = Nginx::start(binary, address, &http);
    let veil = Imported::secure(address, &http);
    let mut wrong = Vec::new();
    for (index, server) in SERVERS.iter().enumerate() {
        for request in REQUESTS {
            let request = request.replace("NAME", &format!("c{index}.test"));
            // All that comes: the connection ends with the answer.
            let ask = |address| seen(&Raw::connect(address).send(&request).rest());
            let (theirs, ours) = (ask(address), ask(veil.veil.public));
            if theirs != ours {
                wrong.push(format!(
                    "{server}\n  {request:?}\n  nginx: {theirs:?}\n  veil:  {ours:?}"
                ));
            }
        }
    }
    drop(nginx);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let page = Raw::connect(veil.veil.public)
        .send("GET / HTTP/1.1\r\nHost: c0.test\r\n\r\n")
        .rest();
    let page = String::from_utf8(page).unwrap();
    let why = "<center>The plain HTTP request was sent to HTTPS port</center>";
    assert!(page.contains(why) && page.contains("Connection: close"), "{page}");
}
