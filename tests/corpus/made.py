"""JPEG files in every setting that libjpeg-turbo's cjpeg and jpegtran and Pillow can write, of one portrait."""

import io
import itertools
import subprocess
from pathlib import Path

from PIL import Image

PORTRAIT = Path(__file__).resolve().parents[1] / "pictures" / "astronaut.png"

SAMPLINGS = ["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "2x2,2x1,2x1", "2x2,1x2,1x2", "3x1"]
CODINGS = [[], ["-optimize"], ["-progressive"], ["-arithmetic"], ["-restart", "1"], ["-restart", "3B", "-optimize"]]
SIZES = [(512, 512), (337, 299), (64, 65), (7, 9)]
QUALITIES = ["30", "90", "100"]
TRANSFORMS = [
    ["-optimize"], ["-progressive"], ["-arithmetic"], ["-restart", "2"], ["-restart", "5B"], ["-rotate", "90", "-trim"],
    ["-flip", "horizontal", "-trim"], ["-grayscale"], ["-crop", "200x150+16+32"], ["-copy", "none", "-transverse"],
]


def pictures(folder):
    folder.mkdir()
    portrait = Image.open(PORTRAIT).convert("RGB")
    files = list(itertools.chain(encoded(portrait), inks(portrait), transformed(portrait)))
    for number, content in enumerate(files):
        (folder / f"{number:04}.jpg").write_bytes(content)
    return sorted(folder.iterdir())


def encoded(portrait):
    qualities = itertools.cycle(QUALITIES)
    for size in SIZES:
        bitmap = ppm(portrait.resize(size))
        for sampling, coding in itertools.product(SAMPLINGS, CODINGS):
            yield tool("cjpeg", ["-quality", next(qualities), "-sample", sampling, *coding], bitmap)
        for colours, coding in itertools.product(["-grayscale", "-rgb"], CODINGS):
            yield tool("cjpeg", [colours, *coding], bitmap)


def inks(portrait):
    for size, optimized in itertools.product(SIZES, (False, True)):
        file = io.BytesIO()
        portrait.resize(size).convert("CMYK").save(file, "JPEG", optimize=optimized)
        yield file.getvalue()


def transformed(portrait):
    for sampling in SAMPLINGS[:5]:
        source = tool("cjpeg", ["-quality", "85", "-sample", sampling], ppm(portrait))
        for transform in TRANSFORMS:
            yield tool("jpegtran", transform, source)


def tool(name, arguments, content):
    return subprocess.run([name, *arguments], input=content, stdout=subprocess.PIPE, check=True).stdout


def ppm(picture):
    file = io.BytesIO()
    picture.save(file, "PPM")
    return file.getvalue()
