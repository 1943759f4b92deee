//! The shipped examples at work: each is started as it is, but for its addresses.

use std::fs;
use std::net::SocketAddr;

use e2e::backend::{Answer, Backend, digest};
use e2e::client;
use e2e::veil::Veil;

#[test]
fn other_services_stand_behind_the_same_proxy() {
    let ocr = [Backend::named("ocr 1"), Backend::named("ocr 2")];
    let speech = Backend::start(|_| Answer::Digest);
    let veil = example(
        "other-service.yaml",
        &[
            ("10.0.0.1:9000", ocr[0].address),
            ("10.0.0.2:9000", ocr[1].address),
            ("10.0.0.3:9100", speech.address),
        ],
    );
    let read = client()
        .post(veil.url("/ocr/page?language=de"))
        .body("a scanned page")
        .send()
        .unwrap();
    assert_eq!(read.status(), 200);
    assert!(read.text().unwrap().starts_with("ocr "));

    let recording = vec![7; 5_000_000];
    let heard = client()
        .post(veil.url("/speech/words"))
        .body(recording.clone())
        .send()
        .unwrap();
    assert_eq!(heard.status(), 200);
    assert_eq!(speech.received()[0].body_digest, digest(&recording));

    assert_eq!(veil.get("/speech/words").status(), 405, "speech is posted");
    assert_eq!(veil.get("/").status(), 404, "nothing else is served");
    let names: Vec<String> = pools(&veil);
    assert_eq!(names, ["ocr", "speech"]);
}

fn pools(veil: &Veil) -> Vec<String> {
    let pools: Vec<serde_json::Value> = veil.admin_get("/pools").json().unwrap();
    pools
        .iter()
        .map(|pool| pool["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A file of `conf/examples`, on free ports, with these addresses in the place of its own.
fn example(name: &str, addresses: &[(&str, SocketAddr)]) -> Veil {
    let file = format!("{}/../conf/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut yaml = fs::read_to_string(file).unwrap();
    for listener in ["0.0.0.0:80", "127.0.0.1:8081"] {
        yaml = yaml.replace(listener, "127.0.0.1:0");
    }
    for (written, real) in addresses {
        assert!(yaml.contains(written), "{name} has no {written}");
        yaml = yaml.replace(written, &real.to_string());
    }
    Veil::start(&yaml)
}
