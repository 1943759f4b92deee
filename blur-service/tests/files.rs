//! The command for files, asked of the real program.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs::{self, File, FileTimes},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant, SystemTime},
};

use common::{encoded, jpeg, portrait};
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn a_tree_keeps_its_names_and_times_and_is_done_once() {
    let folder = album();
    let output = blur(&folder, &["album", "-r", "-o", "out", "--json"]);
    assert_eq!(output.status.code(), Some(1), "a file is refused");
    let lines = lines(&output);
    let status = |name: &str| {
        let line = lines.iter().find(|line| line["path"].as_str().unwrap().ends_with(name));
        line.unwrap_or_else(|| panic!("{name}: {lines:?}")).clone()
    };
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(status("one.jpg")["status"], "blurred");
    assert_eq!(status("one.jpg")["faces"].as_array().unwrap().len(), 1);
    assert_eq!(status("two.PNG")["output"], "out/sub/deeper/two.PNG");
    assert_eq!(status("nobody.webp")["faces"], json!([]));
    assert_eq!(status("broken.jpg")["code"], "broken_picture");
    assert_eq!(status("other.psd")["code"], "unsupported_format");
    let summary = String::from_utf8_lossy(&output.stderr);
    for said in [
        "3 blurred",
        "2 faces",
        "1 without a face",
        "nobody.webp",
        "2 refused",
        "broken.jpg",
    ] {
        assert!(summary.contains(said), "{summary}");
    }
    assert_eq!(
        tree(&folder.path().join("out")),
        ["nobody.webp", "one.jpg", "sub", "sub/deeper", "sub/deeper/two.PNG"]
    );
    assert_eq!(modified(&folder.path().join("out/one.jpg")), long_ago());
    let before = fs::read(folder.path().join("out/one.jpg")).unwrap();
    assert_ne!(before, fs::read(folder.path().join("album/one.jpg")).unwrap());
    // Again: nothing is left to do, and what is somebody else's stays.
    fs::write(folder.path().join("out/nobody.webp"), b"mine").unwrap();
    let again = blur(&folder, &["album", "-r", "-o", "out"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("2 done before") && said.contains("--overwrite"), "{said}");
    assert_eq!(fs::read(folder.path().join("out/nobody.webp")).unwrap(), b"mine");
    let anew = blur(&folder, &["album/nobody.webp", "-o", "out", "--overwrite", "-q"]);
    assert_eq!((anew.status.code(), &anew.stderr[..]), (Some(0), &b""[..]));
    assert_ne!(fs::read(folder.path().join("out/nobody.webp")).unwrap(), b"mine");
}

#[test]
fn one_that_is_killed_leaves_whole_files_and_the_next_run_does_the_rest() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    let file = jpeg(&portrait());
    for index in 0..40 {
        fs::write(folder.path().join(format!("in/{index:02}.jpg")), &file).unwrap();
    }
    let mut child = command(&folder, &["in", "-r", "-o", "out"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| tree(&folder.path().join("out")).len() > 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let done = tree(&folder.path().join("out"));
    assert!((3..40).contains(&done.len()), "{done:?}");
    let again = blur(&folder, &["in", "-r", "-o", "out"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        again.status.success() && said.contains(&format!("{} done before", done.len())),
        "{said}"
    );
    assert!(blur(&folder, &["in", "-r", "-o", "fresh"]).status.success());
    let expected = tree(&folder.path().join("in"));
    assert_eq!(tree(&folder.path().join("out")), expected);
    for name in expected {
        let [out, fresh] = ["out", "fresh"].map(|place| fs::read(folder.path().join(place).join(&name)).unwrap());
        assert!(out == fresh, "{name}");
    }
}

#[test]
fn parts_do_every_picture_once_though_one_is_killed() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    let file = jpeg(&portrait());
    for index in 0..60 {
        fs::write(folder.path().join(format!("in/{index:02}.jpg")), &file).unwrap();
    }
    let parts = ["0/4", "1/4", "2/4", "3/4"];
    let words = |part| ["in", "-r", "-o", "out", "--json", "--shard", part];
    let mut killed = command(&folder, &words(parts[0]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| tree(&folder.path().join("out")).len() > 1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let told: Vec<Vec<Value>> = parts.iter().map(|part| lines(&blur(&folder, &words(part)))).collect();
    assert_eq!(tree(&folder.path().join("out")), tree(&folder.path().join("in")));
    let mut sources: Vec<&str> = told
        .iter()
        .flatten()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!((count, sources.len()), (60, 60), "each picture is told of by one part");
    assert!(told.iter().all(|lines| lines.len() > 4), "the parts are alike");
}

#[test]
fn a_pipe_takes_one_picture_and_gives_it() {
    let folder = TempDir::new().unwrap();
    let file = jpeg(&portrait());
    let piped = |input: &[u8]| {
        let mut child = command(&folder, &["-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    };
    let good = piped(&file);
    assert!(good.status.success() && good.stdout.starts_with(b"\xff\xd8") && good.stdout != file);
    let bad = piped(&file[..9000]);
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("cannot be read"));
}

#[test]
fn a_check_fails_where_a_face_is_left() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.jpg"), jpeg(&portrait())).unwrap();
    assert_eq!(blur(&folder, &["a.jpg", "--check"]).status.code(), Some(1));
    assert!(blur(&folder, &["a.jpg", "--effect", "solid"]).status.success());
    assert_eq!(tree(folder.path()), ["a.blurred.jpg", "a.jpg"]);
    let checked = blur(&folder, &["a.blurred.jpg", "--check"]);
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    // Results beside their pictures are not done again.
    assert!(blur(&folder, &[".", "-r"]).status.success());
    assert_eq!(tree(folder.path()).len(), 2);
}

#[test]
fn a_dry_run_writes_a_contact_sheet_and_no_picture() {
    let folder = album();
    let output = blur(&folder, &["album/one.jpg", "album/nobody.webp", "--dry-run", "--json"]);
    assert!(output.status.success());
    assert_eq!(lines(&output)[0]["status"], "seen");
    let sheet = fs::read_to_string(folder.path().join("contact-sheet.html")).unwrap();
    assert_eq!(sheet.matches("data:image/jpeg").count(), 2);
    assert!(sheet.contains("one.jpg<br>1 faces") && !sheet.contains("src=\"http"));
    let again = blur(&folder, &["album/one.jpg", "--dry-run"]);
    assert_eq!(again.status.code(), Some(2), "the sheet is there");
}

#[test]
fn what_stands_beside_a_picture_is_hidden_and_spared() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("a.png"),
        encoded(&portrait().into(), ImageFormat::Png),
    )
    .unwrap();
    let beside = folder.path().join("a.png.veil.json");
    fs::write(
        &beside,
        r#"{"regions": [[8, 400, 60, 40]], "exclude": [0], "effect": "solid"}"#,
    )
    .unwrap();
    let output = blur(&folder, &["a.png", "--json"]);
    let line = &lines(&output)[0];
    assert_eq!(
        (
            line["faces"].as_array().unwrap().len(),
            line["spared"].as_array().unwrap().len()
        ),
        (0, 1)
    );
    assert_eq!(
        line["regions"],
        json!([{ "x": 8.0, "y": 400.0, "width": 60.0, "height": 40.0 }])
    );
    fs::write(&beside, r#"{"regoins": []}"#).unwrap();
    let wrong = blur(&folder, &["a.png", "--overwrite"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `regions`"));
}

#[test]
fn a_watched_folder_is_gone_on_with() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    let mut child = command(&folder, &["--watch", "in", "-o", "out"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for name in ["a.jpg", "b.jpg"] {
        fs::write(folder.path().join("in").join(name), jpeg(&portrait())).unwrap();
        wait_until(|| folder.path().join("out").join(name).exists());
    }
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert!(ended(&mut child));
}

#[test]
fn wrong_usage_is_told_before_anything_is_done() {
    let folder = album();
    fs::create_dir(folder.path().join("other")).unwrap();
    fs::copy(folder.path().join("album/one.jpg"), folder.path().join("other/one.jpg")).unwrap();
    for (arguments, said) in [
        (&["album", "-o", "out"][..], "-r goes through it"),
        (&["nowhere.jpg"], "nowhere.jpg"),
        (&["album", "other", "-r", "-o", "out"], "would both be written to"),
        (&["-", "album/one.jpg"], "goes with no other path"),
        (&["album/one.jpg", "--effect", "none"], "invalid value"),
        (&[], "required"),
    ] {
        let output = blur(&folder, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
        assert!(!folder.path().join("out").exists());
    }
}

fn album() -> TempDir {
    let folder = TempDir::new().unwrap();
    let deeper = folder.path().join("album/sub/deeper");
    fs::create_dir_all(&deeper).unwrap();
    let nobody = RgbImage::from_pixel(200, 150, [80, 120, 200].into());
    let file = jpeg(&portrait());
    for (name, bytes) in [
        ("one.jpg", file.clone()),
        ("sub/deeper/two.PNG", encoded(&portrait().into(), ImageFormat::Png)),
        ("nobody.webp", encoded(&nobody.into(), ImageFormat::WebP)),
        ("sub/broken.jpg", file[..5000].to_vec()),
        ("sub/other.psd", b"8BPS".to_vec()),
        ("notes.txt", b"no picture".to_vec()),
    ] {
        let path = folder.path().join("album").join(name);
        fs::write(&path, bytes).unwrap();
        let times = FileTimes::new().set_modified(long_ago());
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_times(times)
            .unwrap();
    }
    folder
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blur-service"));
    command.current_dir(folder).arg("blur").args(arguments);
    command
        .env("BLUR_DETAIL", "fast")
        .env("BLUR_NOISE_KEY", "a key of the tests, long enough for it");
    command
}

fn blur(folder: &TempDir, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything below a folder, hidden files too.
fn tree(folder: &Path) -> Vec<String> {
    fn add(folder: &Path, below: &Path, found: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(below) else { return };
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        for path in paths {
            found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            add(folder, &path, found);
        }
    }
    let mut found = Vec::new();
    add(folder, folder, &mut found);
    found.sort();
    found
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come to pass");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(child: &mut Child) -> bool {
    child.wait().unwrap().success()
}
