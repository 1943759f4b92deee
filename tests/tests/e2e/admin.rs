//! What the admin listener says, and that the public one does not say it.

use e2e::backend::Backend;
use e2e::veil::Veil;

#[test]
fn tells_operators_how_it_is() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    assert_eq!(veil.get("/").status(), 200);
    assert_eq!(veil.admin_get("/livez").status(), 200);
    assert_eq!(veil.admin_get("/readyz").status(), 200);

    assert_eq!(veil.backends().len(), 1);
    assert_eq!(veil.backend(backend.address)["standing"], "eligible");

    let metrics = veil.admin_get("/metrics").text().unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("veil_") && line.contains("_total")),
        "{metrics}"
    );
}

#[test]
fn answers_in_the_format_of_stub_status() {
    let backend = Backend::named("backend");
    let veil = Veil::over(&format!("{{ backends: [{{ address: {} }}] }}", backend.address));
    for _ in 0..3 {
        veil.get("/");
    }
    let status = veil.admin_get("/nginx_status").text().unwrap();
    let lines: Vec<&str> = status.lines().map(str::trim_end).collect();
    assert!(
        lines[0]
            .strip_prefix("Active connections: ")
            .unwrap()
            .parse::<u64>()
            .is_ok(),
        "{status}"
    );
    assert_eq!(lines[1], "server accepts handled requests");
    let counts: Vec<u64> = lines[2]
        .split_whitespace()
        .map(|count| count.parse().unwrap())
        .collect();
    assert!(counts.len() == 3 && counts[2] >= 3, "{status}");
    let words: Vec<&str> = lines[3].split_whitespace().step_by(2).collect();
    assert_eq!(words, ["Reading:", "Writing:", "Waiting:"]);
}
