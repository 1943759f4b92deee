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

GROUPS = ["real", "far 110", "far 72", "close-up 0.7", "close-up 1.0"]
"""Pictures in which every face is found, so that what is seen in the results is a hidden one."""


def main(cache, binary, draw_into=""):
    collected = [picture for picture in pictures.collect(pathlib.Path(cache)) if picture.group in GROUPS]
    faces = sum(len(picture.faces) for picture in collected)
    judges = detectors()
    table = [["written as", "effect", *judges]]
    with worker.started(binary) as hide:
        for form in worker.WRITTEN:
            for effect in ["none", *worker.EFFECTS] if form == "PNG" else worker.EFFECTS:
                suspected = collections.Counter()
                for picture in collected:
                    image = worker.pixels(picture.path)
                    shown = image if effect == "none" else hide(image, effect, form)
                    for judge, find in judges.items():
                        suspected[judge] += len(seen(picture.faces, find(shown)))
                    if draw_into:
                        Image.fromarray(shown).save(pathlib.Path(draw_into) / f"{form}-{effect}-{picture.path.name}".replace(":", ""))
                table.append([form, effect, *(f"{suspected[judge]} ({suspected[judge] / faces:.1%})" for judge in judges)])
                print(" | ".join(table[-1]), flush=True)
    evaluate.write("hidden", table)


def detectors():
    """Name, and function from pixels to boxes as [left, top, width, height]."""
    yunet, centerface, full_range = (golden.any_size(golden.MODELS / name) for name in ["yunet_s.onnx", "centerface.onnx", "full_range_192.onnx"])
    hog, net = dlib.get_frontal_face_detector(), dlib.cnn_face_detection_model_v1(worker.model("mmod_human_face_detector.dat"))
    above = lambda least, found: [box[:4] for box in found if box[4] >= least]
    sized = lambda find, session, side, least: lambda pixels: shrunk(pixels, side, lambda small: above(least, find(session, small)))
    rectangle = lambda found: [found.left(), found.top(), found.width(), found.height()]
    return {
        "YuNet": lambda pixels: above(0.5, golden.yunet(yunet, pixels)),
        "YuNet, 640 px": sized(golden.yunet, yunet, 640, 0.5),
        "YuNet, 320 px": sized(golden.yunet, yunet, 320, 0.5),
        "CenterFace at 0.5": lambda pixels: above(0.5, golden.centerface(centerface, pixels)),
        "CenterFace at 0.2": lambda pixels: above(0.2, golden.centerface(centerface, pixels)),
        "MediaPipe": sized(golden.full_range, full_range, 192, 0.5),
        "dlib HOG": lambda pixels: [rectangle(found) for found in hog(pixels, 0)],
        "dlib CNN, 960 px": lambda pixels: shrunk(pixels, 960, lambda small: [rectangle(found.rect) for found in net(small, 0)]),
    }


def shrunk(pixels, side, find):
    """What is found in the picture at this long side, in pixels of the picture."""
    scale = min(1, side / max(pixels.shape[:2]))
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    small = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))
    return [[value / scale for value in box] for box in find(small)]


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
