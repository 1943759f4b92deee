"""The API, used by its examples, by generated clients and by schemathesis, against the real service."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PORTRAIT = ROOT / "tests/pictures/astronaut.png"
EXAMPLES = ROOT / "blur-service/src/http/docs"
PROGRAMS = {".sh": ["bash", "-e"], ".py": [sys.executable], ".mjs": ["node"]}
FLAGS = ["--listen", "127.0.0.1:0", "--detail", "fast", "--allow-exclude", "--allow-client-options", "--max-bytes", "2MiB"]


def main(binaries, cache, *more):
    service = subprocess.Popen(
        [Path(binaries) / "blur-service", *FLAGS, "--die-with-parent"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    address = service.stdout.readline().split()[-1]
    run(["curl", "-sf", "--retry", "50", "--retry-delay", "1", "--retry-all-errors", f"{address}/health", "-o", os.devnull])
    folder = Path(tempfile.mkdtemp(prefix="veil-clients-"))
    try:
        examples(address, folder / "examples")
        python_client(address, folder / "python")
        typescript_client(address, folder / "typescript", Path(cache))
        every_case(address, folder, 400 if "--full" in more else 40)
    finally:
        service.terminate()
        service.wait()
        shutil.rmtree(folder)


def examples(address, folder):
    """Each in a folder of its own, with a photo beside it, as its reader would run it."""
    written = sorted(path for path in EXAMPLES.iterdir() if path.suffix in PROGRAMS)
    for example in written:
        place = folder / example.name
        place.mkdir(parents=True)
        shutil.copy(PORTRAIT, place / "photo.jpg")
        program = place / f"example{example.suffix}"
        program.write_text(example.read_text().replace("http://127.0.0.1:8080", address))
        said = run([*PROGRAMS[example.suffix], program], cwd=place)
        made = [path for path in place.iterdir() if path.name in ("out.jpg", "report.json") and path.stat().st_size > 1000]
        assert made or re.search(r"\d+\.\d+", said), f"{example.name} made nothing: {said}"
        print(f"ok      example {example.name}", flush=True)


def python_client(address, folder):
    document = download(address, folder)
    said = run(["openapi-python-client", "generate", "--path", document, "--output-path", folder / "client", "--meta", "none"])
    # What is sent in the body is sent in a form; the rest of a picture's types are for other clients.
    warnings = [line for line in said.splitlines() if "Cannot parse" in line or "ERROR" in line or "Unable" in line]
    assert not warnings, warnings
    run([sys.executable, HERE / "use.py", address, PORTRAIT], env={"PYTHONPATH": str(folder)})
    print("ok      openapi-python-client", flush=True)


def typescript_client(address, folder, cache):
    document = download(address, folder)
    for name in ["package.json", "node_modules"]:
        (folder / name).symlink_to(cache / name)
    tools = cache / "node_modules/.bin"
    run([tools / "openapi-typescript", document, "-o", folder / "veil.d.ts"])
    shutil.copy(HERE / "use.ts", folder)
    run([tools / "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", folder / "use.ts"], cwd=folder)
    run(["node", folder / "use.js", address, PORTRAIT])
    print("ok      openapi-typescript", flush=True)


def every_case(address, folder, most):
    """`most` cases an operation by each generator."""
    command = ["schemathesis", "--config-file", HERE / "schemathesis.toml", "run", f"{address}/openapi.json", "--max-examples", str(most),
               "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"]
    said = run(command, cwd=folder)
    print(f"ok      schemathesis: {re.search(r'[0-9]+ generated.*', said)[0]}", flush=True)


def download(address, folder):
    folder.mkdir(parents=True)
    document = folder / "openapi.json"
    run(["curl", "-sf", f"{address}/openapi.json", "-o", document])
    return document


def run(command, cwd=None, env=None):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"FAILED  {' '.join(map(str, command[:4]))}\n{done.stdout[-6000:]}")
    return done.stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
