"""Whether a list of parts holds what it should: known parts of Cargo.lock, each with its checksum and a licence, whose needs are
parts too, and the networks.
usage: sbom.py LIST LOCK"""

import json
import sys
import tomllib
from pathlib import Path


def main(file, lock):
    bom, locked = json.loads(Path(file).read_text()), tomllib.loads(Path(lock).read_text())["package"]
    known = {f"pkg:cargo/{each['name']}@{each['version']}": each.get("checksum") for each in locked}
    parts = {each["bom-ref"]: each for each in bom["components"]}
    crates = {name: each for name, each in parts.items() if each["type"] == "library"}
    assert bom["bomFormat"] == "CycloneDX" and len(crates) > 200, len(crates)
    for name, each in crates.items():
        checksum = known[name]
        assert each.get("licenses"), f"{name}: no licence"
        assert checksum is None or each["hashes"] == [{"alg": "SHA-256", "content": checksum}], name
    assert {"pkg:cargo/pingora@", "pkg:cargo/tract-onnx@"} <= {name.partition("@")[0] + "@" for name in crates}
    assert [each for each in parts.values() if each["type"] == "machine-learning-model"]
    own = bom["metadata"]["component"]["bom-ref"]
    for each in bom["dependencies"]:
        for name in [each["ref"], *each["dependsOn"]]:
            assert name in parts or name == own, f"{name} is needed and no part"


main(*sys.argv[1:])
