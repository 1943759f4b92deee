//! Filters and selections of a crate of one's own.

use std::fs;
use std::process::Command;

use e2e::process::binary;

/// `proxy/examples/own_filter`, a crate of its own, with this configuration.
fn own_filter(arguments: &[&str], yaml: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("veil.yaml");
    fs::write(&file, yaml).unwrap();
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("FILE", file.to_str().unwrap()));
    let output = Command::new(binary("own_filter")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_filter_from_outside_is_known_like_one_of_veils_own() {
    let with = |settings: &str| {
        format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nroutes:\n  - match: {{ path_prefix: / }}\n    pool: app\n    \
             filters:\n      - opening_hours: {settings}\n        when: method != \"HEAD\"\n\
             pools: {{ app: {{ backends: [{{ address: 127.0.0.1:9 }}] }} }}\n\
             examples: [{{ url: 'http://a.test/', expect: {{ pool: app }} }}]\n"
        )
    };
    let (good, said) = own_filter(&["check", "FILE"], &with("{ from: 0, until: 24 }"));
    assert!(good, "{said}");
    let (good, said) = own_filter(&["check", "FILE"], &with("{ from: eight, until: 24 }"));
    assert!(
        !good && said.contains("veil.yaml:7:32: routes[0].filters[0].opening_hours.from: expected a whole number"),
        "{said}"
    );
    let (good, said) = own_filter(&["check", "FILE"], &with("{ form: 8, until: 24 }"));
    assert!(!good && said.contains("did you mean \"from\"?"), "{said}");
    let (good, said) = own_filter(&["check", "FILE"], &with("{ from: 8, until: 8 }"));
    assert!(!good && said.contains("nobody is served from 8 until 8"), "{said}");
    let (_, said) = own_filter(
        &["explain", "-c", "FILE", "--client", "192.0.2.1"],
        &with("{ from: 0, until: 24 }"),
    );
    assert!(said.contains("filter opening_hours lets it go on"), "{said}");
    let (_, said) = own_filter(&["schema"], "");
    assert!(said.contains("\"opening_hours\""));
}

#[test]
fn a_selection_from_outside_is_known_like_one_of_veils_own() {
    let with = |select: &str| {
        format!(
            "version: 1\nlisteners: {{ public: {{ address: 127.0.0.1:0 }} }}\nroutes:\n  - match: {{ path_prefix: / }}\n    pool: app\n\
             pools:\n  app:\n    select: {select}\n    backends: [{{ address: 127.0.0.1:9 }}, {{ address: 127.0.0.1:10 }}]\n"
        )
    };
    for select in ["first_fit", "{ first_fit: {} }", "{ first_fit: { up_to: 3 } }"] {
        let (good, said) = own_filter(&["check", "FILE"], &with(select));
        assert!(good, "{select}: {said}");
    }
    for (select, mistake) in [
        (
            "{ first_fit: { up_to: few } }",
            "veil.yaml:8:35: pools.app.select.first_fit.up_to: expected a whole number",
        ),
        ("{ first_fit: { upto: 3 } }", "did you mean \"up_to\"?"),
        ("frist_fit", "did you mean \"first_fit\"?"),
        ("{ first_fit: {}, ketama: {} }", "names more than one thing"),
    ] {
        let (good, said) = own_filter(&["check", "FILE"], &with(select));
        assert!(!good && said.contains(mistake), "{select}: {said}");
    }
    let (good, said) = own_filter(&["explain", "-c", "FILE", "--client", "192.0.2.1"], &with("first_fit"));
    assert!(
        good && said.contains("first_fit") && said.contains("127.0.0.1:9"),
        "{said}"
    );
    let (_, said) = own_filter(&["schema"], "");
    assert!(said.contains("\"first_fit\"") && said.contains("\"up_to\""));
}

#[test]
fn an_example_that_goes_another_way_is_a_mistake_with_its_place() {
    let yaml = "version: 1\nlisteners: { public: { address: 127.0.0.1:0 } }\nroutes:\n  - match: { path_prefix: / }\n    filters:\n      \
                - respond: { status: 404 }\nexamples:\n  - url: http://a.test/\n    expect: { status: 403 }\n";
    let (good, said) = own_filter(&["check", "FILE"], yaml);
    let expected = "veil.yaml:9:23: example \"GET http://a.test/\": expected status 403, found 404: route \"/\" takes it, filter respond answers 404";
    assert!(!good && said.contains(expected), "{said}");
}
