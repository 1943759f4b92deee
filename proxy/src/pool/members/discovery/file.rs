//! A file that lists backends, looked at twice a second. What it holds is compared and not its time, so that no change
//! is missed, whoever makes it: an editor, a rename, a symbolic link of Kubernetes.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs;
use tokio::task::spawn_blocking;

use super::answer::{Answer, DiscoveryError};
use crate::pool::members::backend::BackendConfig;
use crate::pool::members::written::{Found, refuse_twins, resolved};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Document, steps};

/// A new content is taken when it has been the same twice, so that no half-written one is.
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

pub struct FileWatch {
    path: PathBuf,
    /// What was seen at the last look.
    seen: Option<Vec<u8>>,
    /// For how many looks it has been the same.
    looks: u32,
    /// The content that was taken last, and what it was read as.
    taken: Option<(Vec<u8>, Reading)>,
}

/// Whom a file names, or what is wrong with it.
type Reading = Result<Vec<Found>, Vec<Diagnostic>>;

impl FileWatch {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: None,
            looks: 0,
            taken: None,
        }
    }

    pub async fn ask(&mut self) -> Result<Answer, DiscoveryError> {
        let content = fs::read(&self.path).await?;
        let is_same = self.seen.as_ref() == Some(&content);
        self.looks = if is_same { self.looks.saturating_add(1) } else { 1 };
        self.seen = Some(content.clone());
        let found = match &self.taken {
            Some((taken, found)) if self.looks < SETTLED || *taken == content => found.clone(),
            _ => {
                let found = read(self.path.clone(), content.clone()).await?;
                self.doubt(&found)?;
                self.taken = Some((content, found.clone()));
                found
            }
        };
        Ok(Answer {
            found: found.map_err(DiscoveryError::Mistakes)?,
            again: BETWEEN_LOOKS,
        })
    }
}

impl FileWatch {
    /// A list that has lost more than half may be one that is being written, up to where its writer has come.
    fn doubt(&self, found: &Reading) -> Result<(), DiscoveryError> {
        let (Some((_, Ok(before))), Ok(now)) = (&self.taken, found) else {
            return Ok(());
        };
        match now.len() * 2 < before.len() && self.looks < BELIEVED {
            true => Err(DiscoveryError::Shrunk {
                from: before.len(),
                to: now.len(),
                wait: BETWEEN_LOOKS * BELIEVED,
            }),
            false => Ok(()),
        }
    }
}

/// Looks at which a new content has to be the same until it is taken,
const SETTLED: u32 = 2;
/// and until one is that names fewer than half of those before.
const BELIEVED: u32 = 10;

/// What is wrong with a file.
pub fn check(path: &Path) -> std::io::Result<Vec<Diagnostic>> {
    let text = std::fs::read_to_string(path)?;
    Ok(parse(&path.display().to_string(), &text).err().unwrap_or_default())
}

/// Host names are resolved here, and not again until the file changes.
async fn read(path: PathBuf, content: Vec<u8>) -> Result<Reading, DiscoveryError> {
    let read = spawn_blocking(move || parse(&path.display().to_string(), &String::from_utf8_lossy(&content)));
    Ok(read.await.map_err(std::io::Error::other)?)
}

fn parse(file: &str, text: &str) -> Reading {
    let mut document = Document::parse(file, text).map_err(|mistake| vec![mistake])?;
    let mut mistakes = document.interpolate(|name| env::var(name).ok());
    let (backends, more) = document.read::<Vec<BackendConfig>>();
    mistakes.extend(more);
    let Some(backends) = backends.filter(|_| mistakes.is_empty()) else {
        return Err(mistakes);
    };
    let mut found: Vec<Found> = Vec::new();
    for (index, backend) in backends.iter().enumerate() {
        let resolved = resolved(backend).and_then(|resolved| {
            let all = found.iter().chain(&resolved);
            refuse_twins(all.map(|found| (found.config.name(), found.address.clone())))?;
            Ok(resolved)
        });
        match resolved {
            Ok(resolved) => found.extend(resolved),
            Err(problem) => mistakes.push(document.mistake(&steps![index], problem.to_string(), None)),
        }
    }
    match mistakes.is_empty() {
        true => Ok(found),
        false => Err(mistakes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(answer: Result<Answer, DiscoveryError>) -> Vec<String> {
        answer.unwrap().found.iter().map(|found| found.config.name()).collect()
    }

    #[tokio::test]
    async fn a_change_is_taken_when_it_is_seen_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backends.yaml");
        std::fs::write(&path, "[{ address: 10.0.0.1:80 }]").unwrap();
        let mut watch = FileWatch::new(&path);
        assert_eq!(names(watch.ask().await), ["10.0.0.1:80"]);
        std::fs::write(&path, "[{ address: 10.0.0.2:80, name: b }]").unwrap();
        assert_eq!(names(watch.ask().await), ["10.0.0.1:80"]);
        assert_eq!(names(watch.ask().await), ["b"]);
        assert_eq!(names(watch.ask().await), ["b"]);
    }

    #[tokio::test]
    async fn a_list_that_has_lost_more_than_half_is_doubted_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backends.yaml");
        let list = |count: usize| -> String {
            (1..=count)
                .map(|n| format!("- {{ address: 10.0.0.{n}:80 }}\n"))
                .collect()
        };
        std::fs::write(&path, list(5)).unwrap();
        let mut watch = FileWatch::new(&path);
        assert_eq!(names(watch.ask().await).len(), 5);
        std::fs::write(&path, list(2)).unwrap();
        assert_eq!(names(watch.ask().await).len(), 5);
        for _ in SETTLED..BELIEVED {
            let error = watch.ask().await.err().unwrap().to_string();
            assert_eq!(error, "names 2 and no longer 5; believed if it does so for 5s");
        }
        assert_eq!(names(watch.ask().await).len(), 2);
        std::fs::write(&path, list(1)).unwrap();
        watch.ask().await.unwrap();
        assert_eq!(names(watch.ask().await).len(), 1, "half is no more than half");
    }

    #[tokio::test]
    async fn a_mistake_has_its_place_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backends.yaml");
        std::fs::write(&path, "- address: 10.0.0.1:80\n  wieght: 3\n").unwrap();
        let mut watch = FileWatch::new(&path);
        for _ in 0..2 {
            let error = watch.ask().await.err().unwrap().to_string();
            assert!(
                error.contains("backends.yaml:2:3: [0]: unknown key \"wieght\""),
                "{error}"
            );
        }
        std::fs::write(&path, "- address: 10.0.0.1:80\n").unwrap();
        assert!(watch.ask().await.is_err());
        assert_eq!(names(watch.ask().await), ["10.0.0.1:80"]);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(watch.ask().await, Err(DiscoveryError::Unreadable(_))));
    }

    #[test]
    fn twins_are_refused() {
        let twins = "- { address: 10.0.0.1:80 }\n- { address: 10.0.0.1:80, name: b }\n";
        let mistakes = parse("b.yaml", twins).unwrap_err();
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["b.yaml:2:3: two backends have the address 10.0.0.1:80"]);
    }
}
