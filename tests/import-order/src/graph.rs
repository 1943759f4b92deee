//! Which file of a crate knows which other one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use crate::paths::{Contents, NamedPath, read};

/// The files of a crate, and an arrow from each to every one that it knows.
pub struct Graph {
    files: Vec<File>,
    by_module: BTreeMap<Vec<String>, usize>,
    arrows: BTreeSet<Arrow>,
}

/// By the numbers of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: usize,
    pub to: usize,
    /// Whether only tests know it.
    pub is_test: bool,
}

struct File {
    /// Inside the source folder.
    path: PathBuf,
    module: Vec<String>,
    contents: Contents,
}

impl Graph {
    /// # Errors
    /// Those of reading the folder.
    pub fn read(source: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for path in rust_files(source)? {
            let text = fs::read_to_string(&path)?;
            let path = path.strip_prefix(source).map(Path::to_owned).unwrap_or(path);
            files.push(File {
                module: module_of(&path),
                path,
                contents: read(&text),
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        // A program beside its library is a crate of its own.
        let is_program = |file: &File| file.path == Path::new("main.rs");
        if files.iter().any(|file| file.path == Path::new("lib.rs")) {
            files.retain(|file| !is_program(file));
        }
        let by_module = (0..).zip(&files).map(|(n, file)| (file.module.clone(), n)).collect();
        let mut graph = Self {
            files,
            by_module,
            arrows: BTreeSet::new(),
        };
        graph.arrows = (0..graph.files.len())
            .flat_map(|from| graph.arrows_from(from))
            .collect();
        Ok(graph)
    }

    pub fn arrows(&self) -> impl Iterator<Item = Arrow> {
        self.arrows.iter().copied()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub fn name(&self, file: usize) -> String {
        self.files[file].path.display().to_string()
    }

    /// The folder whose files a file stands among: its own, if it is the head of one.
    pub fn folder(&self, file: usize) -> PathBuf {
        let path = &self.files[file].path;
        let own = path.with_extension("");
        let is_head = self.files.iter().any(|other| other.path.parent() == Some(&own));
        if is_head {
            own
        } else {
            path.parent().map(Path::to_owned).unwrap_or_default()
        }
    }

    /// The module at the crate's top that a file belongs to; none for the root.
    pub fn top_module(&self, file: usize) -> Option<&str> {
        self.files[file].module.first().map(String::as_str)
    }

    pub fn top_modules(&self) -> BTreeSet<String> {
        self.files
            .iter()
            .filter_map(|file| file.module.first().cloned())
            .collect()
    }

    fn arrows_from(&self, from: usize) -> impl Iterator<Item = Arrow> {
        let is_test_file = self.is_test_file(&self.files[from].module);
        self.files[from].contents.paths.iter().filter_map(move |path| {
            let to = self.file_of(from, path)?;
            let is_test = path.is_test || is_test_file;
            (to != from).then_some(Arrow { from, to, is_test })
        })
    }

    fn is_test_file(&self, module: &[String]) -> bool {
        (1..=module.len()).any(|length| {
            let parent = self.by_module.get(&module[..length - 1]);
            parent.is_some_and(|parent| self.files[*parent].contents.test_files.contains(&module[length - 1]))
        })
    }

    /// The file that defines what a path in the file `from` names; nothing if that is in another crate.
    fn file_of(&self, from: usize, path: &NamedPath) -> Option<usize> {
        let (module, rest) = self.absolute(from, path)?;
        self.resolve(module, rest, MOST_STEPS)
    }

    /// The module where a path begins, and the rest of it.
    fn absolute<'p>(&self, from: usize, path: &'p NamedPath) -> Option<(Vec<String>, &'p [String])> {
        let own = &self.files[from].module;
        let (first, mut rest) = path.segments.split_first()?;
        match first.as_str() {
            "crate" => return Some((Vec::new(), rest)),
            "self" => return (path.depth == 0).then(|| (own.clone(), rest)),
            "super" => {}
            // Only children go by their bare names.
            child => {
                let module = [own.as_slice(), &[child.to_owned()]].concat();
                let is_child = path.depth == 0 && self.by_module.contains_key(&module);
                return is_child.then_some((module, rest));
            }
        }
        let mut up = 1;
        while let Some((next, others)) = rest.split_first().filter(|(next, _)| *next == "super") {
            debug_assert_eq!(next, "super");
            (up, rest) = (up + 1, others);
        }
        let length = (own.len() + path.depth).checked_sub(up)?;
        Some((own[..length.min(own.len())].to_vec(), rest))
    }

    /// Follows a path from a module on, through what modules pass on.
    fn resolve(&self, mut module: Vec<String>, mut rest: &[String], steps: u32) -> Option<usize> {
        while let Some((next, others)) = rest.split_first() {
            module.push(next.clone());
            if !self.by_module.contains_key(&module) {
                module.pop();
                break;
            }
            rest = others;
        }
        let file = *self.by_module.get(&module)?;
        let Some((name, others)) = rest.split_first() else {
            return Some(file);
        };
        if self.files[file].contents.defined.contains(name) || steps == 0 {
            return Some(file);
        }
        let passed_on = |path: &&NamedPath| path.depth == 0 && path.alias.as_ref() == Some(name);
        if let Some(path) = self.files[file].contents.paths.iter().find(passed_on) {
            let (module, before) = self.absolute(file, path)?;
            return self.resolve(module, &[before, others].concat(), steps - 1);
        }
        self.defined_by_all(file, name).or(Some(file))
    }

    /// The file that defines a name which comes with all the others of a module (`pub use module::*`).
    fn defined_by_all(&self, file: usize, name: &str) -> Option<usize> {
        let paths = self.files[file].contents.paths.iter();
        let all = paths.filter(|path| path.depth == 0 && path.alias.as_deref() == Some("*"));
        all.filter_map(|path| {
            let (module, rest) = self.absolute(file, path)?;
            self.resolve(module, rest, 0)
        })
        .find(|file| self.files[*file].contents.defined.contains(name))
    }
}

/// A name may be passed on so many times.
const MOST_STEPS: u32 = 16;

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// `a/mod.rs` and `a.rs` are `a`; `lib.rs` is the root.
fn module_of(path: &Path) -> Vec<String> {
    let mut module: Vec<String> = path
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let is_root = module.len() == 1 && matches!(module[0].as_str(), "lib" | "main");
    if is_root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}
