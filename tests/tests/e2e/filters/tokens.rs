//! JSON Web Tokens made and signed by openssl, and what users of other gateways have reported of theirs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::backend::Backend;
use e2e::openssl::openssl;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ask, veil};

/// Keys, and the set of their public halves, `jwks.json`.
struct Issuer(TempDir);

impl Issuer {
    fn new(ids: &[&str]) -> Self {
        let issuer = Self(tempfile::tempdir().unwrap());
        ids.iter().for_each(|id| issuer.make(id));
        issuer.publish(&issuer.set(ids));
        issuer
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn make(&self, id: &str) {
        let made = ["genrsa", "-out", &format!("{id}.key"), "2048"];
        openssl(self.path(), &made);
        let public = [
            "rsa",
            "-in",
            &format!("{id}.key"),
            "-pubout",
            "-out",
            &format!("{id}.pem"),
        ];
        openssl(self.path(), &public);
    }

    fn set(&self, ids: &[&str]) -> Value {
        json!({ "keys": ids.iter().map(|id| self.public(id)).collect::<Vec<_>>() })
    }

    fn public(&self, id: &str) -> Value {
        let output = said(
            self.path(),
            &["rsa", "-in", &format!("{id}.key"), "-noout", "-modulus"],
            b"",
        );
        let text = String::from_utf8(output).unwrap();
        let hexadecimal = text.trim().strip_prefix("Modulus=").unwrap();
        let digits = |at: usize| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap();
        let modulus: Vec<u8> = (0..hexadecimal.len()).step_by(2).map(digits).collect();
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": base64url(&modulus), "e": "AQAB" })
    }

    /// As a good renewal does it: beside, and then in the place of the one before.
    fn publish(&self, set: &Value) {
        fs::write(self.path().join("new.json"), set.to_string()).unwrap();
        fs::rename(self.path().join("new.json"), self.path().join("jwks.json")).unwrap();
    }

    fn sign(&self, id: &str, head: &Value, claims: &Value) -> String {
        let sign = ["dgst", "-sha256", "-sign", &format!("{id}.key")];
        token(head, claims, |message| said(self.path(), &sign, message))
    }

    fn rs256(&self, id: &str, claims: &Value) -> String {
        self.sign(id, &json!({ "alg": "RS256", "kid": id }), claims)
    }

    /// Lets in who shows a token; backends see whose it is.
    fn guarded(&self, more: &str, backend: &Backend) -> Veil {
        let keys = self.path().join("jwks.json");
        let guard = format!("jwt: {{ keys: {}{more} }}", keys.display());
        let tells = "request_headers: { set: { X-Sub: $claim_sub } }";
        veil(&format!("{{ {guard} }}, {{ {tells} }}"), Some(backend))
    }
}

fn said(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is there");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let of = |group: &[u8]| {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(group.get(at).copied().unwrap_or(0))
        });
        (0..=group.len())
            .map(|at| char::from(LETTERS[bits >> (18 - 6 * at) & 63]))
            .collect::<String>()
    };
    bytes.chunks(3).map(of).collect()
}

fn token(head: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(head), part(claims));
    let signature = base64url(&sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({ "sub": "ada", "exp": now() + 300 })
}

fn status(veil: &Veil, token: &str) -> u16 {
    ask(
        veil,
        &format!("GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {token}"),
    )
    .status()
}

#[test]
fn whose_token_it_is_goes_on_and_what_others_have_made_does_not() {
    let (issuer, backend) = (Issuer::new(&["one"]), Backend::named("app"));
    issuer.make("stranger");
    let veil = issuer.guarded("", &backend);
    let good = issuer.rs256("one", &claims());
    assert_eq!(status(&veil, &good), 200);
    assert_eq!(backend.received().last().unwrap().header("x-sub"), Some("ada"));

    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let other = base64url(json!({ "sub": "root", "exp": now() + 300 }).to_string().as_bytes());
    // The public key is no secret of an HMAC (the confusion of algorithms): as PEM, and as its text is without its last line's end.
    let pem = fs::read(issuer.path().join("one.pem")).unwrap();
    let by_public = |secret: &[u8]| {
        let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let sign = [
            "dgst",
            "-sha256",
            "-mac",
            "hmac",
            "-macopt",
            &format!("hexkey:{hexadecimal}"),
            "-binary",
        ];
        let head = json!({ "alg": "HS256", "kid": "one" });
        token(&head, &claims(), |message| said(issuer.path(), &sign, message))
    };
    let embedded =
        json!({ "alg": "RS256", "kid": "one", "jwk": issuer.public("stranger"), "jku": "https://evil.test/" });
    let mut forged = vec![
        format!("{head}.{other}.{signature}"),
        format!("{signed}."),
        signed.to_owned(),
        format!("{good}="),
        format!("{good}.{signature}"),
        by_public(&pem),
        by_public(pem.trim_ascii_end()),
        issuer.sign("stranger", &json!({ "alg": "RS256", "kid": "one" }), &claims()),
        issuer.sign("stranger", &json!({ "alg": "RS256" }), &claims()),
        issuer.sign("stranger", &embedded, &claims()),
        issuer.sign("one", &json!({ "alg": "RS256", "kid": "../../dev/null" }), &claims()),
        issuer.sign("one", &json!({ "alg": "RS256", "kid": 1 }), &claims()),
        issuer.sign(
            "one",
            &json!({ "alg": "RS256", "kid": "one", "crit": ["exp"], "exp": 1 }),
            &claims(),
        ),
        issuer.sign("one", &json!({ "alg": "RS512", "kid": "one" }), &claims()),
        issuer.sign("one", &json!({ "kid": "one" }), &claims()),
        issuer.sign("one", &json!({ "alg": "RS256" }), &json!(["sub", "ada"])),
    ];
    let nobody = ["none", "None", "NONE", "nOnE", ""];
    forged.extend(nobody.map(|name| token(&json!({ "alg": name }), &claims(), |_| Vec::new())));
    for token in &forged {
        assert_eq!(status(&veil, token), 401, "{token}");
    }
    assert_eq!(backend.received().len(), 1, "backends saw none of them");
}

/// RFC 7519; jwtk/jjwt#77 and int128/kubelogin#238 (a list in `aud`), TykTechnologies/tyk#1670 and mcp-hangar#630 (clocks),
/// lcobucci/jwt#191 (`iat` ahead), fractions in `exp` as Python writes them.
#[test]
fn claims_are_judged_as_issuers_write_them() {
    let (issuer, backend) = (Issuer::new(&["one"]), Backend::named("app"));
    let veil = issuer.guarded(
        ", audience: [api, admin], issuer: https://login.test/, leeway: 30s",
        &backend,
    );
    let good = json!({ "sub": "ada", "exp": now() + 300, "aud": "api", "iss": "https://login.test/" });
    let cases = [
        ("aud", json!("admin"), 200),
        ("aud", json!(["other", "api"]), 200),
        ("aud", json!(["api", 7, null]), 200),
        ("aud", json!([]), 401),
        ("aud", json!("API"), 401),
        ("aud", json!("api admin"), 401),
        ("aud", json!({ "api": true }), 401),
        ("aud", Value::Null, 401),
        ("iss", json!("https://login.test"), 401),
        ("iss", json!(["https://login.test/"]), 401),
        ("exp", json!(now() as f64 + 300.5), 200),
        ("exp", json!(now() - 10), 200),
        ("exp", json!(now() - 60), 401),
        ("exp", json!((now() + 300).to_string()), 401),
        ("exp", json!((now() + 300) * 1000), 200),
        ("exp", json!(-1), 401),
        ("exp", Value::Null, 401),
        ("nbf", json!(now() + 10), 200),
        ("nbf", json!(now() + 90), 401),
        ("nbf", json!("now"), 401),
        ("iat", json!(now() + 90), 200),
        ("sub", json!({ "id": 7 }), 200),
    ];
    for (name, value, expected) in cases {
        let mut claims = good.clone();
        claims[name] = value.clone();
        assert_eq!(
            status(&veil, &issuer.rs256("one", &claims)),
            expected,
            "{name}: {value}"
        );
    }
    for missing in ["aud", "iss", "exp"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(status(&veil, &issuer.rs256("one", &claims)), 401, "without {missing}");
    }
}

/// envoyproxy/gateway#4180, agilezebra/jwt-middleware#36, andydunstall/piko#263: a new key is taken without a restart, and the
/// old one as long as it is in the set.
#[test]
fn keys_are_renewed_while_requests_come() {
    let (issuer, backend) = (Issuer::new(&["old"]), Backend::named("app"));
    issuer.make("new");
    let veil = issuer.guarded("", &backend);
    let (old, new) = (issuer.rs256("old", &claims()), issuer.rs256("new", &claims()));
    let both = |expected: (u16, u16)| {
        until("the keys are these", SOON, || {
            ((status(&veil, &old), status(&veil, &new)) == expected).then_some(())
        });
    };
    both((200, 401));
    // A set of what is known here and what is not: RFC 7517, section 5.
    let mut set = issuer.set(&["old", "new"]);
    let others = [
        json!({ "kty": "EC", "crv": "P-521", "kid": "5", "x": "AA", "y": "AA" }),
        json!({ "kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "e", "n": "AA", "e": "AQAB" }),
        json!({ "kty": "RSA", "alg": "RSA-OAEP-256", "kid": "f", "n": "AA", "e": "AQAB" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "q", "pub": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "kid": "x", "x": "AA", "x5c": ["AA"], "key_ops": ["deriveKey"] }),
    ];
    set["keys"].as_array_mut().unwrap().extend(others);
    issuer.publish(&set);
    both((200, 200));
    // Written in place, and looked at half way.
    let set = issuer.set(&["new"]).to_string();
    let file = issuer.path().join("jwks.json");
    fs::write(&file, &set[..set.len() / 2]).unwrap();
    let told = "what it said before holds";
    until("the half is told of", SOON, || {
        assert_eq!((status(&veil, &old), status(&veil, &new)), (200, 200));
        veil.process.stderr.text().contains(told).then_some(())
    });
    fs::write(&file, &set).unwrap();
    both((401, 200));
    // As long as before, and of the same date (cert-manager/csi-driver#264).
    let date = fs::metadata(&file).unwrap().modified().unwrap();
    let other = issuer.set(&["old"]).to_string();
    assert_eq!(other.len(), set.len());
    fs::write(issuer.path().join("again.json"), &other).unwrap();
    let again = fs::File::options()
        .write(true)
        .open(issuer.path().join("again.json"))
        .unwrap();
    again.set_times(fs::FileTimes::new().set_modified(date)).unwrap();
    fs::rename(issuer.path().join("again.json"), &file).unwrap();
    both((200, 401));
    // Gone for a while.
    fs::remove_file(&file).unwrap();
    both((200, 401));
    issuer.publish(&issuer.set(&["new"]));
    both((401, 200));
}

/// Whoever comes after might take the other one of two.
#[test]
fn a_token_comes_in_one_place() {
    let (issuer, backend) = (Issuer::new(&["one"]), Backend::named("app"));
    let veil = issuer.guarded(", cookie: session", &backend);
    let good = issuer.rs256("one", &claims());
    for (fields, expected) in [
        (format!("Authorization: bearer {good}"), 200),
        (format!("AUTHORIZATION: BEARER   {good}  "), 200),
        (format!("Cookie: a=b; session={good}"), 200),
        (format!("Authorization: Basic YTpi\r\nCookie: session={good}"), 200),
        (format!("Authorization: Bearer{good}"), 401),
        (format!("Authorization: {good}"), 401),
        (
            format!("Authorization: Bearer {good}\r\nAuthorization: Bearer a.b.c"),
            401,
        ),
        (
            format!("Authorization: Bearer a.b.c\r\nAuthorization: Bearer {good}"),
            401,
        ),
        (format!("Authorization: Bearer {good}, Bearer {good}"), 401),
        (format!("Authorization: Bearer \"{good}\""), 401),
        (format!("Authorization: Bearer a.b.c\r\nCookie: session={good}"), 401),
        (format!("Authorization: Bearer {}", "a".repeat(20_000)), 401),
        ("Authorization: Bearer".to_owned(), 401),
        ("X: y".to_owned(), 401),
    ] {
        let answer = ask(&veil, &format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}"));
        assert_eq!(answer.status(), expected, "{fields}");
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(
            challenge.starts_with("Bearer"),
            expected == 401,
            "{fields}: {challenge}"
        );
    }
}
