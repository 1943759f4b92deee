"""Whether a network that recognises people finds the original of a hidden face. Usage: reidentify.py CACHE WORKER

The attacker has all originals, and knows where the eyes and the nose of a hidden face were: dlib's network (CC0, PyPI
face_recognition_models) sees both pictures cut and turned alike, and the nearest original is its answer.
"""
import pathlib
import sys

import dlib
import numpy as np
from PIL import Image, ImageFilter

import evaluate
import pictures
import worker


def main(cache, binary):
    originals = [picture for picture in pictures.collect(pathlib.Path(cache)) if picture.group == "real"]
    describe = described()
    known = np.concatenate([describe(worker.pixels(picture.path), picture) for picture in originals])
    chance = 1 / len(known)
    table = [["effect", "rank 1", "times chance", "rank 5", "median rank"]]
    with worker.started(binary) as hide:
        looks = {effect: lambda image, _, effect=effect: hide(image, effect) for effect in worker.EFFECTS}
        for name, look in {"a Gaussian of a twentieth of the face": article_like, **looks}.items():
            probes = np.concatenate([describe(look(worker.pixels(picture.path), picture), picture) for picture in originals])
            ranks = ranked(probes, known)
            hits = (ranks == 0).mean()
            table.append([name, f"{hits:.1%}", f"{hits / chance:.1f}", f"{(ranks < 5).mean():.1%}", f"{np.median(ranks) + 1:.0f} of {len(known)}"])
            print(" | ".join(table[-1]), flush=True)
    evaluate.write("reidentify", table)


def described():
    """A function from pixels and the picture they come from to a row of 128 numbers for each of its faces."""
    net = dlib.face_recognition_model_v1(worker.model("dlib_face_recognition_resnet_model_v1.dat"))
    predict = dlib.shape_predictor(worker.model("shape_predictor_5_face_landmarks.dat"))
    landmarks = {}

    def describe(pixels, picture):
        if picture.path not in landmarks:
            rectangles = [dlib.rectangle(*(round(side) for side in face)) for face in picture.faces]
            landmarks[picture.path] = [predict(pixels, rectangle) for rectangle in rectangles]
        chips = [dlib.get_face_chip(pixels, shape, 150, 0.25) for shape in landmarks[picture.path]]
        return np.array([net.compute_face_descriptor(chip) for chip in chips])

    return describe


def ranked(probes, known):
    """How many originals are nearer to each probe than its own."""
    distances = np.linalg.norm(probes[:, None] - known[None], axis=2)
    return (distances < np.diag(distances)[:, None]).sum(1)


def article_like(pixels, picture):
    """What face-blurring scripts do, for comparison: a Gaussian over the box, of a twentieth of its height."""
    image = Image.fromarray(pixels)
    for face in picture.faces:
        box = [round(side) for side in face]
        image.paste(image.filter(ImageFilter.GaussianBlur((face[3] - face[1]) / 20)).crop(box), box[:2])
    return np.asarray(image)


if __name__ == "__main__":
    main(*sys.argv[1:])
