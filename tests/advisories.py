"""Holds Cargo.lock against the pinned advisories of RustSec, for where their database cannot be reached. Prints each that
applies, and each crate that nobody has looked up; exit code 1 if one applies.
usage: advisories.py LOCK PINNED
       advisories.py --renew DATABASE LOCK PINNED    writes PINNED anew

DATABASE is a checkout: git clone https://github.com/rustsec/advisory-db, or what cargo-deny keeps in ~/.cargo/advisory-dbs.

A line of PINNED is an identifier, a crate, the versions that are mended and those that never were affected, alternatives parted
by a bar; or a hyphen and a crate without any. What is only unmaintained is cargo-deny's business."""

import re
import sys
import tomllib
from pathlib import Path


def check(lock, pinned):
    lines = [line.split("\t") for line in Path(pinned).read_text().splitlines() if not line.startswith("#")]
    packages = locked(lock)
    found = [f"{name}: {each} {version}, mended in {mended or 'none'}" for name, crate, mended, spared in
             (line for line in lines if line[0] != "-") for each, version in packages
             if each == crate and not any(within(version, ranges) for ranges in (mended, spared))]
    unknown = sorted({each for each, _ in packages} - {line[1] for line in lines})
    for each in found:
        print(each)
    print(f"{len(lines)} lines are pinned, {len(found)} advisories apply; not looked up: {len(unknown)} of "
          f"{len(packages)} crates: {' '.join(unknown)}")
    return 1 if found else 0


def renew(database, lock, pinned):
    lines = []
    for crate in sorted({name for name, _ in locked(lock)}):
        lines += list(advisories(Path(database) / "crates" / crate)) or [f"-\t{crate}"]
    comment = "".join(line for line in Path(pinned).read_text().splitlines(True) if line.startswith("#"))
    Path(pinned).write_text(comment + "".join(f"{line}\n" for line in lines))
    return 0


def advisories(folder):
    for file in sorted(folder.glob("RUSTSEC-*.md")):
        text = file.read_text().split("```toml\n", 1)[1].split("```", 1)[0]
        about, versions = (tomllib.loads(text).get(part, {}) for part in ("advisory", "versions"))
        if "withdrawn" not in about and about.get("informational") not in ("unmaintained", "notice"):
            ranges = (" | ".join(versions.get(key, [])) for key in ("patched", "unaffected"))
            yield "\t".join([about["id"], about["package"], *ranges])


def locked(lock):
    """Name and version of each package that comes from elsewhere."""
    return [(each["name"], each["version"]) for each in tomllib.loads(Path(lock).read_text())["package"] if "source" in each]


def within(version, ranges):
    return any(all(holds(version, bound) for bound in each.split(",")) for each in ranges.split("|") if each.strip())


def holds(version, bound):
    sign, text = re.fullmatch(r"\s*([<>=^~]*)\s*(\S+)\s*", bound).groups()
    left, right = number(version), number(text)
    if sign in ("^", "~", ""):
        fixed = 2 if sign == "~" else next((place + 1 for place, part in enumerate(right) if part), 3)
        return left >= right and left[:fixed] == right[:fixed]
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "=": left == right}[sign]


def number(version):
    """Without what a version says after a hyphen or a plus."""
    parts = [int(part) for part in re.split(r"[-+]", version)[0].split(".")]
    return parts + [0] * (3 - len(parts))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--renew", *paths]:
            sys.exit(renew(*paths))
        case [lock, pinned]:
            sys.exit(check(lock, pinned))
        case _:
            sys.exit(__doc__)
