"""Writes VGA.jpg, 1080p.jpg and 12MP.jpg into a folder: group pictures composed from the NASA portrait, with
seeded noise so that the files are about as large as a camera's. Prints how many faces each has, as JSON."""

import json
import pathlib
import sys

import cv2
import numpy as np

PORTRAIT = pathlib.Path(__file__).resolve().parents[1] / "pictures" / "astronaut.png"
# Width, height, strength of the noise, and rows of portraits: their side in pixels, how many.
PICTURES = {
    "VGA": (640, 480, 5, [(300, 2), (150, 2)]),
    "1080p": (1920, 1080, 3, [(600, 3), (260, 5)]),
    "12MP": (4000, 3000, 7, [(1400, 2), (800, 4), (400, 8)]),
}


def main(folder):
    portrait = cv2.imread(str(PORTRAIT))
    for name, (width, height, noise, rows) in PICTURES.items():
        frame = cv2.resize(portrait[:40, :40], (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        top = 0
        for side, count in rows:
            tile = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
            for number in range(count):
                left = number * width // count
                frame[top:top + side, left:left + side] = tile
            top += side
        frame += np.random.default_rng(1).normal(0, noise, frame.shape)
        cv2.imwrite(f"{folder}/{name}.jpg", frame.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    print(json.dumps({name: sum(count for _, count in rows) for name, (*_, rows) in PICTURES.items()}))


main(sys.argv[1])
