"""Runs each `detail` over the pictures, and writes what every `sensitivity` finds into README.md. Usage: evaluate.py CACHE DETECTOR [DRAW_INTO]"""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

from PIL import Image, ImageDraw

import pictures

HERE = pathlib.Path(__file__).parent
DETAILS = ["fast", "thorough", "max"]
SENSITIVITIES = ["low", "normal", "high"]
LEAST_OVERLAP = 0.3
"""A face counts as found where a box overlaps it by this much (intersection over union): the truth was drawn by another hand."""


def main(cache, detector, draw_into):
    collected = pictures.collect(pathlib.Path(cache))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = dict(zip(DETAILS, pool.map(lambda detail: looked(detector, detail, collected), DETAILS)))
    far = [f"far {height}" for height in pictures.FAR_HEIGHTS]
    known = ["real", *far, "none"]
    forms = [group for group in dict.fromkeys(picture.group for picture in collected) if group not in known]
    totals = collections.Counter()
    for picture in collected:
        totals[picture.group] += len(picture.faces)
    by_height = [["detail", "sensitivity", "real", *(f"{height} px" for height in pictures.FAR_HEIGHTS), "false: real", "false: far", "false: none", "ms real", "ms 1080p"]]
    for detail in DETAILS:
        times = collections.defaultdict(list)
        for picture, line in zip(collected, runs[detail], strict=True):
            times[picture.group].append(line["cpu_ms"])
        for sensitivity in SENSITIVITIES:
            found, false = score(collected, runs[detail], sensitivity)
            row = [detail, sensitivity, *(f"{found[group]}/{totals[group]}" for group in ["real", *far])]
            row += [str(false["real"]), str(sum(false[group] for group in far)), str(false["none"])]
            by_height.append(row + [f"{middle(times['real']):.0f}", f"{middle(times['far 48']):.0f}"])
    scores = [score(collected, runs[detail], "normal") for detail in DETAILS]
    by_form = [["form", "faces", *DETAILS]]
    for form in forms:
        by_form.append([form, str(totals[form]), *(f"{found[form]} ({false[form]})" for found, false in scores)])
    write("by height", by_height)
    write("by form", by_form)
    if draw_into:
        for detail in DETAILS:
            for picture, line in zip(collected, runs[detail], strict=True):
                draw(picture, boxes(line, "normal"), pathlib.Path(draw_into) / f"{detail}-{picture.path.name}")


def looked(detector, detail, collected):
    command = [detector, detail, *(str(picture.path) for picture in collected)]
    return [json.loads(line) for line in subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()]


def score(collected, lines, sensitivity):
    """Faces found and false positives, by group."""
    found, false = collections.Counter(), collections.Counter()
    for picture, line in zip(collected, lines, strict=True):
        seen = boxes(line, sensitivity)
        hits = matched(picture.faces, seen)
        found[picture.group] += len(hits)
        false[picture.group] += len(seen) - len(hits)
    return found, false


def boxes(line, sensitivity):
    return [[face["x"], face["y"], face["x"] + face["width"], face["y"] + face["height"]] for face in line["faces"][sensitivity]]


def write(name, rows):
    """Prints a table, and puts it in the place of the one in README.md that stands between the marks of this name."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    print(f"{table}\n", flush=True)
    readme = HERE / "README.md"
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    text, count = re.subn(f"(?s)(?<={re.escape(begin)}).*(?={re.escape(end)})", lambda _: table, readme.read_text())
    assert count == 1, f"README.md has no place for the table {name}"
    readme.write_text(text)


def matched(truth, boxes):
    """Pairs of a true face and a box, best overlap first, each used once."""
    pairs = sorted(((overlap(face, box), i, j) for i, face in enumerate(truth) for j, box in enumerate(boxes)), reverse=True)
    faces, used = set(), set()
    for value, i, j in pairs:
        if value >= LEAST_OVERLAP and i not in faces and j not in used:
            faces.add(i)
            used.add(j)
    return faces


def overlap(a, b):
    width, height = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def draw(picture, boxes, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(picture.path) as image:
        pen = ImageDraw.Draw(image)
        for box in picture.faces:
            pen.rectangle(box, outline="lime", width=2)
        for box in boxes:
            pen.rectangle(box, outline="red", width=2)
        image.save(path)


def middle(values):
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main(*sys.argv[1:])
