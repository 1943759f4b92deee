"""How many of the development pictures' faces `blur-service blur` and deface find, and what each takes for it, a folder at a
time as people use them. Usage: beside_deface.py CACHE BLUR_SERVICE DEFACE_PYTHON"""
import json
import os
import pathlib
import subprocess
import sys

import evaluate
import pictures

# deface's own reading, detector and usual threshold; the scale that it has where none is given.
DEFACE = """
import json, resource, sys
import imageio.v2 as imageio
from deface.centerface import CenterFace
centerface = CenterFace()
def cpu():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
for path in sys.stdin.read().splitlines():
    began = cpu()
    found, _ = centerface(imageio.imread(path)[:, :, :3], threshold=0.2)
    print(json.dumps([[[float(x) for x in box[:4]] for box in found], cpu() - began]))
"""


def main(cache, program, python):
    collected = [picture for picture in pictures.collect(pathlib.Path(cache)) if picture.faces]
    faces = sum(len(picture.faces) for picture in collected)
    theirs = deface(python, collected)
    print(f"{len(collected)} pictures, {faces} faces\n\n| | found | boxes besides | CPU s | × deface |\n|---|---|---|---|---|")
    row("deface", collected, faces, theirs, theirs)
    for detail in ("fast", "thorough"):
        for sensitivity in ("normal", "high"):
            row(f"{detail}, {sensitivity}", collected, faces, ours(program, detail, sensitivity, collected), theirs)


def row(name, collected, faces, run, theirs):
    boxes, seconds = run
    found = sum(len(evaluate.matched(picture.faces, seen)) for picture, seen in zip(collected, boxes, strict=True))
    besides = sum(map(len, boxes)) - found
    print(f"| {name} | {found} of {faces} | {besides} | {seconds:.1f} | {theirs[1] / seconds:.1f} |", flush=True)


def deface(python, collected):
    names = "\n".join(str(picture.path) for picture in collected)
    said = subprocess.run([python, "-c", DEFACE], input=names, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("[")]
    return [boxes for boxes, _ in lines], sum(seconds for _, seconds in lines)


def ours(program, detail, sensitivity, collected):
    """Of the whole command, reading of the networks included."""
    before = os.times()
    command = [program, "blur", *(picture.path for picture in collected), "--dry-run", "--sheet", os.devnull, "--overwrite",
               "--json", "-q", "--detail", detail, "--sensitivity", sensitivity]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
    after = os.times()
    found = {line["path"]: [[face["x"], face["y"], face["x"] + face["width"], face["y"] + face["height"]] for face in line["faces"]]
             for line in map(json.loads, said.splitlines())}
    return [found[str(picture.path)] for picture in collected], after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main(*sys.argv[1:])
