//! Files of a folder. Nginx: `root`, `index`, `try_files` and `gzip_static`.

mod asked;
mod conditions;
mod found;
mod root;
mod tried;

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use self::asked::Asked;
use self::found::Found;
use self::root::{Missing, Root};
use self::tried::{Candidate, Tried};
use super::strip_prefix::StripPrefix;
use super::media_type::of_name;
use super::{Filter, FilterError, Settings, Verdict, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::{self, Problem};
use crate::request::target::Target;
use crate::request::variables::Template;

/// `files: { root: /srv/www }`: GET and HEAD of what lies under `root`, by the path that backends would get (after
/// `strip_prefix` or `rewrite`). No path and no symbolic link leads out of it, and names that begin with a dot are not there,
/// but for `.well-known`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Files {
    root: PathBuf,
    /// What stands for a folder; nothing that variables fill in leads into another one.
    #[serde(default = "index_html")]
    index: Template,
    /// Paths in the place of the request's own, of which the first that is there is sent: a file, or a folder where it ends with a
    /// slash. Nginx: `try_files`.
    #[serde(default, rename = "try")]
    tried: Vec<Tried>,
    /// The file, from `root` on, that stands for all that is not there: an application of one page.
    fallback: Option<String>,
    /// What comes before the paths of its files: with `/img`, `/img/a.png` is `a.png` under `root`. Nginx: `alias`.
    under: Option<StripPrefix>,
    /// A folder below `root` that a request's files lie in, such as `$host`. Nothing that variables fill in leads out of `root`.
    within: Option<Template>,
    /// What comes before the path where a client that asks for a folder is sent to its address with a slash, such as
    /// `$scheme://$host:8080`; nothing unless given. Nginx: `absolute_redirect`.
    origin: Option<Template>,
    /// Lets requests for what is not there go on, to the pool. Nginx: `try_files $uri @app`.
    #[serde(default)]
    pass_on: bool,
    /// The folder need not be there yet, nor always: nothing is in it until it is. Nginx never asks before a request does.
    #[serde(default)]
    may_be_absent: bool,
    /// Files with `.br`, `.zst` or `.gz` after their names are sent in their place where the client takes them.
    #[serde(default)]
    precompressed: bool,
}

fn index_html() -> Template {
    Template::parse("index.html").expect("it has no variables")
}

impl Settings for Files {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        let root = Root::new(&self.root, self.may_be_absent)
            .map_err(|error| FilterError(format!("{}: {error}", self.root.display())))?;
        Ok(Arc::new(Folder(Arc::new(Served {
            settings: self.clone(),
            root,
        }))))
    }

    fn always_answers(&self) -> bool {
        !self.pass_on
    }

    fn files(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        vec![("root", &mut self.root)]
    }
}

struct Folder(Arc<Served>);

struct Served {
    settings: Files,
    root: Root,
}

impl Filter for Folder {
    fn on_request(&self, request: &mut RequestHeader, ctx: &mut RequestCtx) -> Verdict {
        let settings = &self.0.settings;
        if !matches!(request.method, Method::GET | Method::HEAD) && !ctx.notes.is_handed_over {
            return match settings.pass_on {
                true => Verdict::Continue,
                false => Verdict::Methods(HeaderValue::from_static("GET, HEAD")),
            };
        }
        let target = Target::of(request, ctx);
        let Ok(path) = target.normal_path().map(|path| path.into_owned()) else {
            return Verdict::Refuse(problem::BAD_PATH);
        };
        let text = |template: &Template| String::from_utf8(template.bytes(request, ctx)).ok();
        let index = text(&settings.index).filter(|index| settings.index.is_constant() || !index.contains('/'));
        let within = settings.within.as_ref().map_or(Some(String::new()), text);
        let Some((index, within)) = index.zip(within) else {
            return Verdict::Refuse(problem::BAD_PATH);
        };
        let origin = settings.origin.as_ref().map(|origin| origin.bytes(request, ctx));
        let tried = settings.tried.iter().filter_map(|tried| tried.by(request, ctx)).collect();
        let sent = ctx.path(request);
        let known_as = match ctx.notes.is_stripped && sent.ends_with(&path) {
            true => sent.to_owned(),
            false => path.clone(),
        };
        let asked = Asked {
            within,
            tried,
            index,
            origin,
            ..Asked::by(request, &target, known_as)
        };
        let served = Arc::clone(&self.0);
        Verdict::Later(Box::pin(async move {
            let found = spawn_blocking(move || served.answer(&path, &asked)).await;
            found.unwrap_or(Verdict::Refuse(problem::INTERNAL))
        }))
    }
}

impl Served {
    fn answer(&self, path: &str, asked: &Asked) -> Verdict {
        let found = match self.find_any(path, asked) {
            Err(Missing::Nothing) => match &self.settings.fallback {
                Some(fallback) => self.find(&format!("/{}", fallback.trim_start_matches('/')), asked),
                None => Err(Missing::Nothing),
            },
            found => found,
        };
        match found {
            Ok(found) => found.answer(asked.is_plain, &asked.conditions, self.settings.precompressed),
            Err(Missing::Folder(path)) => asked.moved(path.as_deref()),
            Err(Missing::Index) => Verdict::Refuse(NO_FILE),
            Err(Missing::Nothing) if self.settings.pass_on => Verdict::Continue,
            Err(Missing::Nothing) => Verdict::Refuse(NO_FILE),
            Err(Missing::Trouble(error)) => {
                tracing::warn!(root = %self.settings.root.display(), %error, "a file cannot be read");
                Verdict::Refuse(problem::INTERNAL)
            }
        }
    }

    /// By its path, or as the first that is there of what is tried in its place.
    fn find_any(&self, path: &str, asked: &Asked) -> Result<Found, Missing> {
        if self.settings.tried.is_empty() {
            return self.find(path, asked);
        }
        let mut tried = asked.tried.iter();
        match tried.find(|tried| self.is_there(tried, asked)) {
            None => Err(Missing::Nothing),
            Some(tried) if tried.is_folder => self.find(&tried.path, asked).map_err(|missing| match missing {
                Missing::Folder(_) if tried.path != path => Missing::Folder(Some(tried.path.clone())),
                Missing::Nothing => Missing::Index,
                missing => missing,
            }),
            Some(tried) => self.find(&tried.path, asked),
        }
    }

    fn is_there(&self, tried: &Candidate, asked: &Asked) -> bool {
        let opened = match self.name(&tried.path, asked).trim_end_matches('/') {
            "" => self.root.open("."),
            name if may_be_known(name) => self.root.open(name),
            _ => return false,
        };
        opened.is_ok_and(|(_, metadata)| metadata.is_dir() == tried.is_folder)
    }

    fn find(&self, path: &str, asked: &Asked) -> Result<Found, Missing> {
        let mut name = self.name(path, asked);
        if name.is_empty() || name.ends_with('/') {
            name.push_str(&asked.index);
        }
        if !may_be_known(&name) {
            return Err(Missing::Nothing);
        }
        let (file, metadata) = self.root.open(&name)?;
        if metadata.is_dir() {
            return Err(Missing::Folder(None));
        }
        let media_type = of_name(&name);
        if self.settings.precompressed {
            for (coding, suffix) in &asked.codings {
                if let Ok((file, metadata)) = self.root.open(&format!("{name}{suffix}"))
                    && metadata.is_file()
                {
                    let coding = Some(*coding);
                    return Ok(Found { file, metadata, coding, media_type });
                }
            }
        }
        Ok(Found { file, metadata, coding: None, media_type })
    }

    /// What a path is under `root`.
    fn name(&self, path: &str, asked: &Asked) -> String {
        let rest = self.settings.under.as_ref().and_then(|under| under.rest(path));
        let name = rest.unwrap_or(path).trim_start_matches('/');
        match asked.within.trim_matches('/') {
            "" => name.to_owned(),
            within => format!("{within}/{name}"),
        }
    }
}

fn may_be_known(name: &str) -> bool {
    let is_hidden = |name: &str| name.starts_with('.') && name != ".well-known";
    !name.split('/').any(is_hidden) && !name.contains(['\0', '\u{fffd}'])
}

const NO_FILE: Problem = Problem::new(StatusCode::NOT_FOUND, "no_file", "there is no such file here");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::{Content, Settled};
    use super::*;
    use crate::filter::testing::{built, ctx, request};

    struct Got {
        status: u16,
        fields: http::HeaderMap,
        text: String,
    }

    async fn get(filter: &Arc<dyn Filter>, path: &str, fields: &[(&'static str, &str)]) -> Got {
        use std::io::{Read, Seek, SeekFrom};
        let (mut request, mut ctx) = (request("GET", path, fields), ctx("192.0.2.1"));
        match filter.on_request(&mut request, &mut ctx).settled().await {
            Settled::Answer(answer) => {
                let (parts, content) = answer.into_parts();
                let mut text = String::new();
                if let Content::File { mut file, start, length } = content {
                    file.seek(SeekFrom::Start(start)).unwrap();
                    file.take(length).read_to_string(&mut text).unwrap();
                }
                Got { status: parts.status.as_u16(), fields: parts.headers, text }
            }
            Settled::Refuse(problem, _) => {
                let text = problem.code.to_owned();
                Got { status: problem.status.as_u16(), fields: http::HeaderMap::new(), text }
            }
            _ => Got { status: 0, fields: http::HeaderMap::new(), text: String::new() },
        }
    }

    fn site() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let www = folder.path().join("www");
        fs::create_dir_all(www.join("sub/.git")).unwrap();
        fs::create_dir_all(www.join(".well-known")).unwrap();
        for (name, text) in [
            ("www/index.html", "index"),
            ("www/a.css", "0123456789"),
            ("www/a.css.gz", "compressed"),
            ("www/sub/index.html", "sub"),
            ("www/sub/.git/config", "secret"),
            ("www/.htpasswd", "secret"),
            ("www/.well-known/x", "known"),
            ("secret", "secret"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        symlink("../secret", www.join("out")).unwrap();
        symlink("/etc/passwd", www.join("far")).unwrap();
        symlink("a.css", www.join("in.css")).unwrap();
        folder
    }

    fn served(folder: &tempfile::TempDir, more: &str) -> Arc<dyn Filter> {
        built::<Files>(&format!("{{ root: {}{more} }}", folder.path().join("www").display()))
    }

    #[tokio::test]
    async fn nothing_leads_out_of_the_root() {
        let folder = site();
        let files = served(&folder, "");
        for (path, status, text) in [
            ("/", 200, "index"),
            ("/a.css", 200, "0123456789"),
            ("/in.css", 200, "0123456789"),
            ("/sub/", 200, "sub"),
            ("/.well-known/x", 200, "known"),
            ("/sub", 301, ""),
            ("/nothing", 404, "no_file"),
            ("/a.css/", 404, "no_file"),
            ("/out", 404, "no_file"),
            ("/far", 404, "no_file"),
            ("/../secret", 400, "bad_path"),
            ("/%2e%2e/secret", 400, "bad_path"),
            ("/sub/..%2f..%2fsecret", 400, "bad_path"),
            ("/.htpasswd", 404, "no_file"),
            ("/sub/.git/config", 404, "no_file"),
            ("/a%00.css", 400, "bad_path"),
        ] {
            let got = get(&files, path, &[]).await;
            assert_eq!((got.status, got.text.as_str()), (status, text), "{path}");
        }
        assert_eq!(get(&files, "/sub?a=b", &[]).await.fields["location"], "/sub/?a=b");
    }

    #[tokio::test]
    async fn a_folder_that_may_be_absent_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let www = folder.path().join("www");
        let files = served(&folder, ", may_be_absent: true");
        let both = async || {
            let (file, index) = (get(&files, "/a.txt", &[]).await, get(&files, "/", &[]).await);
            (file.status, index.status)
        };
        assert_eq!(both().await, (404, 404));
        for _ in 0..2 {
            fs::create_dir(&www).unwrap();
            fs::write(www.join("a.txt"), "a").unwrap();
            assert_eq!(both().await, (200, 404));
            fs::remove_dir_all(&www).unwrap();
            assert_eq!(both().await, (404, 404));
        }
        fs::write(&www, "no folder").unwrap();
        assert_eq!(both().await, (404, 404));
        let strict: Files = serde_yaml::from_str(&format!("{{ root: {}/none }}", folder.path().display())).unwrap();
        assert!(strict.build(&Workshop::default()).is_err());
    }

    #[tokio::test]
    async fn parts_and_conditions() {
        let folder = site();
        let files = served(&folder, "");
        let whole = get(&files, "/a.css", &[]).await;
        let (tag, date) = (whole.fields["etag"].to_str().unwrap(), whole.fields["last-modified"].to_str().unwrap());
        assert_eq!(whole.fields["content-type"], "text/css; charset=utf-8");
        let old = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (fields, status, text) in [
            (&[("range", "bytes=2-4")][..], 206, "234"),
            (&[("range", "bytes=7-")], 206, "789"),
            (&[("range", "bytes=-2")], 206, "89"),
            (&[("range", "bytes=-99")], 206, "0123456789"),
            (&[("range", "bytes=5-99")], 206, "56789"),
            (&[("range", "bytes=10-")], 416, ""),
            (&[("range", "bytes=-0")], 416, ""),
            (&[("range", "bytes=4-2")], 200, "0123456789"),
            (&[("range", "bytes=0-1,3-4")], 200, "0123456789"),
            (&[("range", "lines=1-2")], 200, "0123456789"),
            (&[("range", "bytes=2-4"), ("if-range", tag)], 206, "234"),
            (&[("range", "bytes=2-4"), ("if-range", "\"other\"")], 200, "0123456789"),
            (&[("range", "bytes=2-4"), ("if-range", old)], 200, "0123456789"),
            (&[("if-none-match", tag)], 304, ""),
            (&[("if-none-match", &format!("\"x\", W/{tag}"))], 304, ""),
            (&[("if-none-match", "\"x\""), ("if-modified-since", date)], 200, "0123456789"),
            (&[("if-modified-since", date)], 304, ""),
            (&[("if-modified-since", old)], 200, "0123456789"),
            (&[("if-match", "\"x\"")], 412, ""),
            (&[("if-match", "*")], 200, "0123456789"),
            (&[("if-unmodified-since", old)], 412, ""),
        ] {
            let got = get(&files, "/a.css", fields).await;
            assert_eq!((got.status, got.text.as_str()), (status, text), "{fields:?}");
        }
    }

    #[tokio::test]
    async fn the_first_that_is_there_is_sent() {
        let folder = site();
        fs::create_dir(folder.path().join("www/bare")).unwrap();
        let both = served(&folder, ", try: ['/none', $path, '$path/', '/$query_f']");
        let folders = served(&folder, ", pass_on: true, try: ['/$query_d/']");
        let file = served(&folder, ", pass_on: true, try: [$path]");
        for (files, path, status, text) in [
            (&both, "/a.css", 200, "0123456789"),
            (&both, "/", 200, "index"),
            (&both, "/sub/", 200, "sub"),
            (&both, "/sub", 301, ""),
            (&both, "/bare/", 404, "no_file"),
            (&both, "/x?f=a.css", 200, "0123456789"),
            (&both, "/x?f=sub", 404, "no_file"),
            (&both, "/x?f=../secret", 404, "no_file"),
            (&both, "/x?f=.htpasswd", 404, "no_file"),
            (&folders, "/x?d=a.css", 0, ""),
            (&folders, "/x?d=sub", 301, ""),
            (&folders, "/x", 200, "index"),
            (&file, "/sub/", 0, ""),
            (&file, "/sub", 0, ""),
            (&file, "/a.css", 200, "0123456789"),
        ] {
            let got = get(files, path, &[]).await;
            assert_eq!((got.status, got.text.as_str()), (status, text), "{path}");
        }
        let inner = served(&folder, ", within: $query_in");
        for (path, text) in [("/?in=sub", "sub"), ("/?in=..", "no_file"), ("/secret?in=sub/..", "no_file"), ("/config?in=sub/.git", "no_file")] {
            assert_eq!(get(&inner, path, &[]).await.text, text, "{path}");
        }
        assert_eq!(get(&folders, "/x?d=sub", &[]).await.fields["location"], "/sub/?d=sub");
    }

    #[tokio::test]
    async fn what_is_not_there_may_be_elsewhere() {
        let folder = site();
        assert_eq!(get(&served(&folder, ", pass_on: true"), "/nothing", &[]).await.status, 0);
        assert_eq!(get(&served(&folder, ", fallback: index.html"), "/app/view", &[]).await.text, "index");
        let files = served(&folder, ", precompressed: true");
        let got = get(&files, "/a.css", &[("accept-encoding", "gzip, br")]).await;
        assert_eq!((got.text.as_str(), got.fields["content-encoding"].to_str().unwrap()), ("compressed", "gzip"));
        assert_eq!(got.fields["content-type"], "text/css; charset=utf-8");
        let plain = get(&files, "/a.css", &[]).await;
        assert_eq!(plain.text, "0123456789");
        assert_ne!(plain.fields["etag"], got.fields["etag"]);
    }
}
