"""A worker that hides the faces of the pictures it is sent, and what its answers look like."""
import contextlib
import io
import pathlib
import sys
import urllib.request

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))
from measure import Server  # noqa: E402

EFFECTS = ["smooth", "mosaic", "gaussian", "solid"]
KEY = "tests/eval: the same noise in each run"
WRITTEN = {
    "PNG": dict(format="PNG", compress_level=1),
    "JPEG 4:2:0": dict(format="JPEG", quality=90, subsampling=2),
}


@contextlib.contextmanager
def started(binary):
    """A function from a picture and an effect to the pixels that come back."""
    with Server("worker", [binary, "--listen", "127.0.0.1:0", "--noise-key", KEY]) as server:
        server.wait_until_ready("/health")
        yield lambda image, effect, form="PNG": hidden(server.base_url, image, effect, form)


def hidden(url, image, effect, form):
    request = urllib.request.Request(f"{url}/v1/blur?effect={effect}", encoded(image, form))
    with urllib.request.urlopen(request, timeout=120) as answer:
        return pixels(answer.read())


def encoded(image, form):
    file = io.BytesIO()
    Image.fromarray(image).save(file, **WRITTEN[form])
    return file.getvalue()


def pixels(file):
    return np.asarray(Image.open(file if isinstance(file, pathlib.Path) else io.BytesIO(file)).convert("RGB"))


def model(name):
    """The path of a model in face_recognition_models, whose own code asks for setuptools."""
    import importlib.util

    folder = pathlib.Path(importlib.util.find_spec("face_recognition_models").origin).parent
    return str(folder / "models" / name)
