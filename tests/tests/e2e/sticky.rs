//! The sticky cookie: clients come back to the backend that served them, for as long as it is there.

use e2e::backend::Backend;
use e2e::until::{SOON, until};
use e2e::veil::Veil;
use e2e::{Response, client};

#[test]
fn brings_a_client_back_until_its_backend_drains() {
    let (first, second) = (Backend::named("first"), Backend::named("second"));
    let veil = Veil::over(&format!(
        "{{ select: round_robin, sticky: {{ max_age: 1h }}, backends: [{{ address: {}, name: first }}, \
         {{ address: {}, name: second }}] }}",
        first.address, second.address
    ));
    let (home, cookie) = served(veil.get("/"));
    let cookie = cookie.expect("a new client gets a cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; SameSite=Lax; Max-Age=3600; HttpOnly");
    for told in ["first", "second", "127.0.0.1", &first.address.port().to_string()] {
        assert!(!pair.contains(told), "{pair} tells {told}");
    }

    let again = || {
        let request = client().get(veil.url("/")).header("cookie", format!("other=1; {pair}"));
        served(request.send().unwrap())
    };
    for _ in 0..6 {
        assert_eq!(
            again(),
            (home.clone(), None),
            "the client stays, and its cookie is good"
        );
    }

    let drain = client().post(veil.admin_url(&format!("/pools/blur/{home}/drain")));
    assert_eq!(drain.send().unwrap().status(), 200);
    let (elsewhere, renewed) = again();
    assert_ne!(elsewhere, home);
    let renewed = renewed.expect("a cookie that leads nowhere is renewed");
    assert!(!renewed.contains(pair));
}

#[test]
fn a_cookie_does_not_hold_a_client_on_a_backup_once_a_primary_serves() {
    let (primary, backup) = (Backend::named("primary"), Backend::named("backup"));
    let veil = Veil::over(&format!(
        "{{ sticky: {{}}, backends: [{{ address: {}, name: primary }}, {{ address: {}, name: backup, backup: true }}] }}",
        primary.address, backup.address
    ));
    let operate = |command: &str| {
        let asked = client().post(veil.admin_url(&format!("/pools/blur/primary/{command}")));
        assert_eq!(asked.send().unwrap().status(), 200);
    };
    let with = |pair: &str| served(client().get(veil.url("/")).header("cookie", pair).send().unwrap());
    let pair = |cookie: &str| cookie.split_once(';').unwrap().0.to_owned();

    operate("drain");
    let (name, cookie) = served(veil.get("/"));
    let of_backup = pair(&cookie.expect("a new client gets a cookie"));
    assert_eq!(name, "backup");
    assert_eq!(with(&of_backup), ("backup".to_owned(), None));

    operate("undrain");
    let (name, cookie) = with(&of_backup);
    let of_primary = pair(&cookie.expect("a backup is nobody's home"));
    assert_eq!(name, "primary");
    assert_ne!(of_primary, of_backup);
    assert_eq!(with(&of_primary), ("primary".to_owned(), None));
}

#[test]
fn a_cookie_that_names_nobody_is_renewed() {
    let backend = Backend::named("only");
    let veil = Veil::over(&format!(
        "{{ sticky: {{}}, backends: [{{ address: {} }}] }}",
        backend.address
    ));
    let forged = client()
        .get(veil.url("/"))
        .header("cookie", "veil_backend=0123456789abcdef");
    let (_, renewed) = served(forged.send().unwrap());
    assert!(renewed.is_some());
    drop(backend);
    let refused = until("the backend is gone", SOON, || {
        let answer = veil.get("/");
        (answer.status() != 200).then_some(answer)
    });
    assert!(refused.headers().get("set-cookie").is_none(), "nobody has served this");
}

/// Who answered, and the cookie that came along.
fn served(answer: Response) -> (String, Option<String>) {
    let cookie = answer
        .headers()
        .get("set-cookie")
        .map(|cookie| cookie.to_str().unwrap().to_owned());
    (answer.text().unwrap(), cookie)
}
