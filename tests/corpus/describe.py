"""Who took and who wrote the pictures, as far as their files tell."""

import hashlib
import warnings
from dataclasses import dataclass, field

from PIL import Image

MAKE, MODEL, SOFTWARE = 0x010F, 0x0110, 0x0131


@dataclass
class Facts:
    cameras: set = field(default_factory=set)
    software: set = field(default_factory=set)
    tables: set = field(default_factory=set)


def facts(paths):
    facts = Facts()
    # Many are test pictures because their EXIF is broken.
    warnings.simplefilter("ignore")
    for path in paths:
        try:
            with Image.open(path) as picture:
                tags = picture.getexif()
                facts.tables.add(hashlib.sha256(repr(sorted(picture.quantization.items())).encode()).digest())
        except Exception:  # Whatever a broken file makes Pillow raise: it tells nothing then.
            continue
        make, model, software = (str(tags.get(tag, "")).strip("\0 ") for tag in (MAKE, MODEL, SOFTWARE))
        if model:
            facts.cameras.add((make, model))
        if software:
            facts.software.add(software)
    return facts
