"""Writes VGA.jpg, 1080p.jpg, 12MP.jpg and so on into a folder: group pictures composed from the NASA portrait, with
seeded noise so that the files are about as large as a camera's. Prints how many faces each has, as JSON."""

import argparse
import json
import pathlib

import cv2
import numpy as np

PORTRAIT = pathlib.Path(__file__).resolve().parents[1] / "pictures" / "astronaut.png"
# Width, height, strength of the noise, and rows of portraits: their side in pixels, how many.
PICTURES = {
    "VGA": (640, 480, 5, [(300, 2), (150, 2)]),
    "1080p": (1920, 1080, 3, [(600, 3), (260, 5)]),
    "12MP": (4000, 3000, 7, [(1400, 2), (800, 4), (400, 8)]),
    "50MP": (8160, 6120, 7, [(2800, 2), (1600, 5), (800, 10)]),
}

QUALITY = {"jpg": [cv2.IMWRITE_JPEG_QUALITY, 90], "webp": [cv2.IMWRITE_WEBP_QUALITY, 90], "png": []}


def main():
    options = arguments()
    portrait = cv2.imread(str(PORTRAIT))
    for name in options.sizes:
        width, height, noise, rows = PICTURES[name]
        frame = cv2.resize(portrait[:40, :40], (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        top = 0
        for side, count in rows:
            tile = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
            for number in range(count):
                left = number * width // count
                frame[top:top + side, left:left + side] = tile
            top += side
        frame += np.random.default_rng(1).normal(0, noise, frame.shape)
        for kind in options.kinds:
            cv2.imwrite(f"{options.folder}/{name}.{kind}", frame.clip(0, 255).astype(np.uint8), QUALITY[kind])
    print(json.dumps({name: sum(count for _, count in rows) for name, (*_, rows) in PICTURES.items()}))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--sizes", nargs="+", default=["VGA", "1080p", "12MP"], choices=PICTURES)
    parser.add_argument("--kinds", nargs="+", default=["jpg"], choices=QUALITY)
    return parser.parse_args()


main()
