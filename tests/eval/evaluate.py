"""Runs each `detail` and `sensitivity` over the pictures and prints a table. Usage: evaluate.py CACHE DETECTOR [DRAW_INTO]"""
import collections
import json
import pathlib
import subprocess
import sys

from PIL import Image, ImageDraw

import pictures

LEAST_OVERLAP = 0.3
"""A face counts as found where a box overlaps it by this much (intersection over union): the truth was drawn by another hand."""


def main(cache, detector, draw_into):
    collected = pictures.collect(pathlib.Path(cache))
    headings = ["detail", "sensitivity", "real", *(f"far {height}" for height in pictures.FAR_HEIGHTS), "false: real", "false: far", "false: none", "ms real", "ms 1080p"]
    totals = collections.Counter()
    for picture in collected:
        totals[picture.group] += len(picture.faces)
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for detail in ["fast", "thorough", "max"]:
        for sensitivity in ["low", "normal", "high"]:
            found, false, times = score(collected, detail, sensitivity, detector, draw_into)
            row = [detail, sensitivity]
            row += [f"{found[group]}/{totals[group]}" for group in ["real", *(f"far {height}" for height in pictures.FAR_HEIGHTS)]]
            row += [str(false["real"]), str(sum(false[group] for group in false if group.startswith("far"))), str(false["none"])]
            row += [f"{middle(times['real']):.0f}", f"{middle(times['far 48']):.0f}"]
            print("| " + " | ".join(row) + " |", flush=True)


def score(collected, detail, sensitivity, detector, draw_into):
    found, false, times = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    command = [detector, detail, sensitivity, *(str(picture.path) for picture in collected)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()
    for picture, line in zip(collected, map(json.loads, lines), strict=True):
        boxes = [[face["x"], face["y"], face["x"] + face["width"], face["y"] + face["height"]] for face in line["faces"]]
        hits = matched(picture.faces, boxes)
        found[picture.group] += len(hits)
        false[picture.group] += len(boxes) - len(hits)
        times[picture.group].append(line["cpu_ms"])
        if draw_into:
            draw(picture, boxes, pathlib.Path(draw_into) / f"{detail}-{sensitivity}-{picture.path.name}")
    return found, false, times


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


main(*sys.argv[1:])
