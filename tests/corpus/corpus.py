"""The order of the steps: `corpus.py CACHE BINARIES [FOLDER]`; see `run`."""

import collections
import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import colour
import describe
import made
import openers
import packages

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench"))
from measure import Server  # noqa: E402: its folder is no package

LEAST_FILES = 300
LEAST_SPLICED = 300


def main(cache, binaries, folder):
    real = packages.pictures(cache) + (packages.below(Path(folder)) if folder else [])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        pictures = unique(real) + unique(made.pictures(scratch / "made"))
        outputs = scratch / "outputs"
        outputs.mkdir()
        answers = ask_service(binaries / "blur-service", pictures, outputs)
        verdicts = judge(binaries / "examples" / "corpus", pictures, outputs, answers)
        with started(binaries / "blur-service") as server:
            ask = lambda content, query: answered(server, content, query)
            in_colour = colour.complaints(binaries / "examples" / "views", ask, scratch / "forms")
        results = [path for path in sorted(outputs.iterdir()) if openers.has_eight_bits(path)]
        deep = len(list(outputs.iterdir())) - len(results)
        complaints = openers.complaints(results) + wrongly_refused(pictures, answers) + in_colour
        print_summary(pictures, len(unique(real)), answers, verdicts, results, deep, complaints)
    failures = [f"{path}: {failure}" for path, verdict in verdicts for failure in verdict["failures"]] + complaints
    print("\n".join(f"FAILED {failure}" for failure in failures))
    spliced = sum(verdict["outcome"].startswith("spliced") for _, verdict in verdicts)
    sys.exit(bool(failures) or len(pictures) < LEAST_FILES or spliced < LEAST_SPLICED)


def unique(paths):
    """One path a content."""
    return list({path.read_bytes(): path for path in reversed(paths)}.values())[::-1]


def ask_service(binary, pictures, outputs):
    """For each picture the service's answers in both profiles: code or road, faces, and where the result lies."""
    answers = []
    with started(binary) as server:
        server.wait_until_ready("/health")
        for number, picture in enumerate(pictures):
            answers.append({})
            for profile in ("lossless", "reencode"):
                answer = post(f"{server.base_url}/v1/blur?profile={profile}", picture.read_bytes())
                if answer["body"] is not None:
                    answer["path"] = outputs / f"{number:04}-{profile}.jpg"
                    answer["path"].write_bytes(answer.pop("body"))
                answers[-1][profile] = answer
    return answers


def started(binary):
    return Server("blur-service", [binary, "--listen", "127.0.0.1:0", "--detail", "fast", "--allow-exclude"])


def answered(server, content, query):
    server.wait_until_ready("/health")
    answer = post(f"{server.base_url}/v1/blur?{query}", content)
    return answer["body"] and (answer["body"], answer["kind"], answer["faces"])


def post(url, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=120) as answer:
            head = answer.headers
            return {"road": head["X-Veil-Path"], "kind": head["Content-Type"], "faces": int(head["X-Faces"]), "body": answer.read()}
    except urllib.error.HTTPError as error:
        return {"road": f"{error.code} {json.load(error)['code']}", "faces": 0, "body": None}


def wrongly_refused(pictures, answers):
    """Pictures that the service calls broken or of a kind it does not take, and libjpeg-turbo reads."""
    refusals = ("415", "422")
    refused = [picture for picture, answer in zip(pictures, answers) if answer["lossless"]["road"].startswith(refusals)]
    return [f"{picture}: refused, and sound" for picture in refused if not openers.djpeg_complaint(picture)]


LOSSLESS_ROADS = ("splice", "coefficients")


def judge(program, pictures, outputs, answers):
    tasks = []
    for number, (picture, answer) in enumerate(zip(pictures, answers)):
        lossless = answer["lossless"]
        kept = [str(lossless["path"])] if lossless["road"] in LOSSLESS_ROADS else []
        spliced = str(outputs / f"{number:04}-forced.jpg")
        tasks.append({"picture": str(picture), "spliced": spliced, "answers": kept})
    lines = "".join(json.dumps(task) + "\n" for task in tasks)
    output = subprocess.run([program], input=lines, stdout=subprocess.PIPE, check=True, text=True).stdout
    return list(zip(pictures, map(json.loads, output.splitlines()), strict=True))


def print_summary(pictures, real, answers, verdicts, results, deep, complaints):
    facts = describe.facts(pictures[:real])
    print(f"{len(pictures)} files: {real} from packages, {len(pictures) - real} made with libjpeg-turbo's tools")
    print(f"  cameras (EXIF make and model): {len(facts.cameras)}")
    print(f"  encoders (quantisation tables: {len(facts.tables)}; EXIF software: {len(facts.software)})")
    outcomes = collections.Counter(verdict["outcome"] for _, verdict in verdicts)
    counted("hidden in by the library, in four looks", outcomes)
    for profile in ("lossless", "reencode"):
        counted(f"the service, {profile}", collections.Counter(answer[profile]["road"] for answer in answers))
    spliced = [verdict for _, verdict in verdicts if verdict["outcome"].startswith("spliced")]
    counted("samplings spliced", collections.Counter(str(verdict["sampling"]) for verdict in spliced))
    restarts = sum(verdict["restart_interval"] > 0 for verdict in spliced)
    faces = sum(answer["lossless"]["faces"] for answer in answers)
    blocks = sum(verdict["blocks"] for _, verdict in verdicts)
    scrambled = sum(verdict["is_scrambled"] for _, verdict in verdicts)
    failures = sum(len(verdict["failures"]) for _, verdict in verdicts)
    print(f"with restart intervals: {restarts}; faces found and hidden: {faces}")
    print(f"blocks compared: {blocks:,}; files with the hidden put into disorder, same bytes: {scrambled}")
    print(f"results opened by djpeg, Pillow and Chromium: {len(results)}; complaints, and sound files refused: {len(complaints)}")
    print(f"results of 12 bits, which none of these opens: {deep}")
    print(f"mismatches: {failures}")


def counted(title, counter):
    print(f"{title}:")
    for name, count in counter.most_common():
        print(f"  {count:5}  {name}")


main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
