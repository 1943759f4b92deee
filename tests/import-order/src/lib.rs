//! Holds the modules of a crate to an order, and its files out of circles.
//!
//! Every path counts: `use crate::`, `use super::`, `pub use`, and paths in the midst of code. A name that a module only
//! passes on (`pub use`) leads to the file that defines it. Paths that macros make of pieces are not seen.

mod circles;
mod graph;
mod paths;
mod tokens;

use std::path::Path;

pub use graph::Graph;

/// What is wrong with the crate whose source lies in the folder `source`, in words; nothing if it keeps its order.
///
/// `order` has all modules at the crate's top, the lowest first: each knows only those of the rows before its own. Files
/// of one folder may know each other in a circle, but not in the folders `without_circles` (such as `"jpeg"`) and below,
/// and never across folders. Tests are held to the order alone.
pub fn check(source: &Path, order: &[&[&str]], without_circles: &[&str]) -> Vec<String> {
    let graph = match Graph::read(source) {
        Ok(graph) => graph,
        Err(error) => return vec![format!("{}: {error}", source.display())],
    };
    let mut wrong = unknown_modules(&graph, order);
    wrong.extend(against_the_order(&graph, order));
    wrong.extend(circles::of(&graph, without_circles));
    wrong
}

fn unknown_modules(graph: &Graph, order: &[&[&str]]) -> Vec<String> {
    let listed = || order.iter().copied().flatten().copied();
    let there = graph.top_modules();
    let unlisted = there.iter().filter(|module| !listed().any(|other| other == *module));
    let missing = listed().filter(|module| !there.iter().any(|other| other == module));
    unlisted
        .map(|module| format!("{module} has no place in the order"))
        .chain(missing.map(|module| format!("{module} is in the order and not in the crate")))
        .collect()
}

fn against_the_order(graph: &Graph, order: &[&[&str]]) -> Vec<String> {
    // What is at the root itself stands above everything.
    let rank = |module: Option<&str>| {
        module.map_or(Some(order.len()), |module| {
            order.iter().position(|row| row.contains(&module))
        })
    };
    let mut wrong = Vec::new();
    for arrow in graph.arrows() {
        let (from, to) = (graph.top_module(arrow.from), graph.top_module(arrow.to));
        let known = rank(from).zip(rank(to));
        if from.is_some() && from != to && known.is_some_and(|(from, to)| to >= from) {
            wrong.push(format!("{} uses {}", graph.name(arrow.from), graph.name(arrow.to)));
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const ORDER: &[&[&str]] = &[&["low"], &["left", "right"], &["high"]];

    #[test]
    fn a_crate_in_order_has_nothing_wrong() {
        let files = [
            (
                "lib.rs",
                "pub mod high; pub mod left; pub mod low; pub mod right; pub use high::Top;",
            ),
            ("low.rs", "pub struct Ground;"),
            (
                "left.rs",
                "use crate::low::Ground; // crate::high\n const S: &str = \"crate::high\";",
            ),
            ("right.rs", "pub fn f() { let _ = crate::low::Ground; }"),
            (
                "high/mod.rs",
                "mod inner; pub use inner::Top; use crate::{left, right::f};",
            ),
            (
                "high/inner.rs",
                "pub struct Top; #[cfg(test)] mod tests { use super::Top; }",
            ),
        ];
        assert_eq!(wrong(&files, &["high"]), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_path_is_seen() {
        for text in [
            "use crate::high::Top;",
            "use super::high::Top;",
            "pub use crate::{low::Ground, high::Top as Roof};",
            "fn f(_: crate::high::Top) {}",
            "fn f() { super::high::f::<u8>() }",
            "macro_rules! m { () => { $crate::high::Top } }",
            "mod inner { use super::super::high::Top; }",
            "#[cfg(test)] mod tests { use crate::high::*; }",
            "use crate::Top;",
        ] {
            let files = [
                (
                    "lib.rs",
                    "pub mod high; pub mod left; pub mod low; pub mod right; pub use high::Top;",
                ),
                ("low.rs", "pub struct Ground;"),
                ("left.rs", text),
                ("right.rs", ""),
                ("high.rs", "pub struct Top;"),
            ];
            assert_eq!(wrong(&files, &[]), ["left.rs uses high.rs"], "{text}");
        }
    }

    #[test]
    fn modules_side_by_side_do_not_know_each_other() {
        let files = [
            ("low.rs", ""),
            ("left.rs", "use crate::right;"),
            ("right.rs", ""),
            ("high.rs", ""),
        ];
        assert_eq!(wrong(&files, &[]), ["left.rs uses right.rs"]);
    }

    #[test]
    fn the_order_is_that_of_the_modules_there_are() {
        let files = [("low.rs", ""), ("left.rs", ""), ("right.rs", ""), ("extra.rs", "")];
        assert_eq!(
            wrong(&files, &[]),
            [
                "extra has no place in the order",
                "high is in the order and not in the crate"
            ]
        );
    }

    #[test]
    fn a_circle_is_told_where_it_is_not_wanted() {
        let files = [
            ("low/mod.rs", "mod a; mod b; pub struct Shared;"),
            ("low/a.rs", "use super::b::B; pub struct A;"),
            ("low/b.rs", "pub struct B; fn f() { super::a::A; }"),
            ("left.rs", ""),
            ("right.rs", ""),
            ("high.rs", ""),
        ];
        assert_eq!(wrong(&files, &[]), Vec::<String>::new());
        assert_eq!(wrong(&files, &["low"]), ["a circle: low/a.rs → low/b.rs → low/a.rs"]);
    }

    #[test]
    fn a_circle_across_folders_is_told_always() {
        let files = [
            ("low/mod.rs", "mod a; pub mod deep; pub struct Shared;"),
            ("low/a.rs", "use super::deep::Deep; pub struct A;"),
            ("low/deep/mod.rs", "pub struct Deep(crate::low::a::A);"),
            ("left.rs", ""),
            ("right.rs", ""),
            ("high.rs", ""),
        ];
        assert_eq!(wrong(&files, &[]), ["a circle: low/a.rs → low/deep/mod.rs → low/a.rs"]);
    }

    #[test]
    fn a_parent_that_names_its_child_in_the_midst_of_code_knows_it() {
        let files = [
            ("low/mod.rs", "mod a; pub struct Shared; fn f() { a::g() }"),
            ("low/a.rs", "pub fn g(_: super::Shared) {}"),
            ("left.rs", ""),
            ("right.rs", ""),
            ("high.rs", ""),
        ];
        assert_eq!(wrong(&files, &["low"]), ["a circle: low/a.rs → low/mod.rs → low/a.rs"]);
    }

    #[test]
    fn tests_may_close_a_circle() {
        let files = [
            ("low/mod.rs", "mod a; mod b;"),
            ("low/a.rs", "use super::b::B; pub struct A;"),
            (
                "low/b.rs",
                "pub struct B; #[cfg(test)] mod tests { use super::super::a::A; }",
            ),
            ("left.rs", ""),
            ("right.rs", ""),
            ("high.rs", ""),
        ];
        assert_eq!(wrong(&files, &["low"]), Vec::<String>::new());
    }

    fn wrong(files: &[(&str, &str)], without_circles: &[&str]) -> Vec<String> {
        let folder = Folder::new();
        for (name, text) in files {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        check(&folder.0, ORDER, without_circles)
    }

    /// Gone with the test.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new() -> Self {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let folder = std::env::temp_dir().join(format!("import-order-{}-{number}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
