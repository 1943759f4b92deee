"""Holds Cargo.lock against the pinned advisories, where RustSec's database cannot be reached. Prints each that applies; exit
code 1 if there is one.
usage: advisories.py LOCK PINNED"""

import re
import sys
import tomllib
from pathlib import Path


def main(lock, pinned):
    lines = [line.split("\t") for line in Path(pinned).read_text().splitlines() if not line.startswith("#")]
    packages = tomllib.loads(Path(lock).read_text())["package"]
    found = [f"{name}: {each['name']} {each['version']}, mended in {mended}" for name, crate, first, mended in lines
             for each in packages if each["name"] == crate and number(first) <= number(each["version"]) < number(mended)]
    for each in found:
        print(each)
    print(f"the advisory database cannot be reached: {len(lines)} pinned advisories, {len(found)} apply")
    return 1 if found else 0


def number(version):
    """Without what a version says after a hyphen or a plus."""
    return [int(part) for part in re.split(r"[-+]", version)[0].split(".")]


sys.exit(main(*sys.argv[1:]))
