"""One portrait in every form that a viewer may read in a way of its own: colour model, markers, transform flag, names of
the components, sampling, bit depth, colour profile, orientation."""

import base64
import io
import itertools
import json
import struct
import sys
import tempfile
import zlib
from pathlib import Path

from PIL import Image, ImageFilter

PORTRAIT = Path(__file__).resolve().parents[1] / "pictures" / "astronaut.png"
SIDES = (40, 32)


def forms():
    """Name and content of each file."""
    yield from itertools.chain(jpegs(), jpeg_profiles(), orientations(), pngs(), webps(), others())


def answered_only():
    """As `forms`, but what the detector is shown is not compared: of animations all frames, and what Chromium does not open."""
    yield from itertools.chain(animations(), tiffs())


def portrait():
    # Soft, so that decoders which enlarge the chroma differently still agree.
    picture = Image.open(PORTRAIT).convert("RGB").crop((96, 0, 416, 240))
    picture = picture.resize(SIDES, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(1))
    # Its own profile would be written too.
    picture.info.clear()
    return picture


# --- JPEG ------------------------------------------------------------------------------------------

JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
MARKERS = {
    "none": [], "jfif": ["jfif"], "short-jfif": ["short"], "adobe0": [0], "adobe1": [1], "adobe2": [2],
    "jfif-adobe0": ["jfif", 0], "jfif-adobe1": ["jfif", 1], "jfif-adobe2": ["jfif", 2],
}
NAMES = {1: [b"\1", b"Y"], 3: [b"\1\2\3", b"\0\1\2", b"RGB", b"YCc"], 4: [b"\1\2\3\4", b"CMYK"]}


def jpegs():
    picture = portrait()
    planes = {1: picture.convert("L"), 3: picture.convert("YCbCr"), 4: inks(picture)}
    for count, names in NAMES.items():
        for marker, name, sampling, progressive in itertools.product(MARKERS, names, (0, 1, 2), (False, True)):
            if count == 1 and sampling or progressive and (sampling == 1 or name != names[0]):
                continue
            content = with_markers(raw(planes[count], sampling, progressive), MARKERS[marker], name)
            kind = "progressive" if progressive else "baseline"
            label = name.decode() if name.isalpha() else "".join(map(str, name))
            yield f"jpeg-{count}-{marker}-{label}-{('444', '422', '420')[sampling]}-{kind}.jpg", content


def inks(picture):
    """The picture as inks and, on purpose, much black."""
    inverted = picture.point(lambda level: 255 - level)
    black = inverted.convert("L").point(lambda level: level // 3)
    return Image.merge("CMYK", (*inverted.split(), black))


def raw(planes, sampling, progressive):
    """A JPEG whose components are these planes as they are."""
    file = io.BytesIO()
    if planes.mode == "YCbCr":
        planes = planes.convert("RGB")
    planes.save(file, "JPEG", quality=85, subsampling=sampling, progressive=progressive)
    return file.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_markers(content, markers, names):
    """With these application segments alone, and with these names of the components."""
    bodies = {"jfif": (0xE0, JFIF), "short": (0xE0, JFIF[:9])}
    head = b"".join(
        segment(*bodies[marker]) if marker in bodies else segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([marker]))
        for marker in markers
    )
    rest, old = [], None
    for marker, body in segments(content):
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            continue
        if marker in (0xC0, 0xC1, 0xC2):
            old = bytes(body[6 + 3 * n] for n in range(body[5]))
            body = body[:6] + b"".join(names[n : n + 1] + body[7 + 3 * n : 9 + 3 * n] for n in range(body[5]))
        rest.append((marker, body))
    renamed = bytes.maketrans(old, names)
    out = b"\xff\xd8" + head
    for marker, body in rest:
        if marker == 0xDA:
            header, coded = body
            parts = b"".join(
                header[1 + 2 * n : 2 + 2 * n].translate(renamed) + header[2 + 2 * n : 3 + 2 * n] for n in range(header[0])
            )
            out += segment(marker, header[:1] + parts + header[-3:]) + coded
        else:
            out += segment(marker, body)
    return out + b"\xff\xd9"


def segments(content):
    """Marker and body of each; a scan's body is its header and its coded data."""
    at = 2
    while content[at + 1] != 0xD9:
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        body, at = content[at + 4 : at + 2 + length], at + 2 + length
        if marker == 0xDA:
            end = at
            while content[end] != 0xFF or content[end + 1] == 0:
                end += 1
            body, at = (body, content[at:end]), end
        yield marker, body


def jpeg_profiles():
    picture = portrait()
    profiles = rgb_profiles() | {"grey-in-rgb": grey_profile(1.0), "inks-in-rgb": inks_profile(), "broken": b"no profile" * 20}
    for (name, profile), progressive in itertools.product(profiles.items(), (False, True)):
        yield f"icc-{name}{'-progressive' * progressive}.jpg", saved(picture, profile, progressive)
    for name, profile in {"1.0": grey_profile(1.0), "1.8": grey_profile(1.8), "dot": grey_profile(None)}.items():
        yield f"icc-grey-{name}.jpg", saved(picture.convert("L"), profile)
    yield "icc-grey-lightness.jpg", saved(picture.convert("L"), grey_profile(1.0, b"Lab "))
    yield "icc-rgb-in-grey.jpg", saved(picture.convert("L"), rgb_profiles()["wide"])
    yield "icc-inks.jpg", saved(inks(picture), inks_profile())
    bare = with_markers(raw(inks(picture), 0, False), [], b"\1\2\3\4")
    yield "icc-inks-no-marker.jpg", bare[:2] + segment(0xE2, b"ICC_PROFILE\0\1\1" + inks_profile()) + bare[2:]
    yield "icc-rgb-in-inks.jpg", saved(inks(picture), rgb_profiles()["wide"])


def saved(picture, profile, progressive=False):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85, subsampling=0, icc_profile=profile, progressive=progressive)
    return file.getvalue()


def orientations():
    for value, order in itertools.product(range(0, 10), "<>"):
        tag = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, value, 0, 0)
        content = saved(portrait(), None)
        name = f"orientation-{value}-{'little' if order == '<' else 'big'}"
        yield f"{name}.jpg", content[:2] + segment(0xE1, b"Exif\0\0" + tag) + content[2:]
        if order == ">":
            yield f"{name}.png", png(portrait(), [(b"eXIf", tag)])


# --- colour profiles -------------------------------------------------------------------------------

SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))
P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
PROPHOTO = ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def rgb_profiles():
    return {
        "srgb": rgb_profile(SRGB, SRGB_CURVE), "p3": rgb_profile(P3, SRGB_CURVE), "adobe": rgb_profile(ADOBE, (2.19921875,)),
        "prophoto": rgb_profile(PROPHOTO, (1.8,)), "gamma1.8": rgb_profile(SRGB, (1.8,)), "gamma2.2": rgb_profile(SRGB, (2.2,)),
        "linear": rgb_profile(SRGB, (1.0,)), "wide": rgb_profile(ADOBE, (1.4,)), "swapped": rgb_profile(SRGB[::-1], SRGB_CURVE),
    }


def fixed(value):
    return struct.pack(">i", round(value * 65536))


def xyz(values):
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))


def curve(numbers):
    kind = {1: 0, 5: 3}[len(numbers)]
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(fixed, numbers))


def icc(space, connection, tags, kind=b"mntr"):
    """A profile of the fourth version with these tags."""
    tags = {b"desc": text("made for a test"), b"cprt": text("none"), b"wtpt": xyz((0.9642, 1.0, 0.8249)), **tags}
    at, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", at + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(data), b"\0\0\0\0", 0x04200000, kind, space, connection)
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def text(words):
    words = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words


def rgb_profile(primaries, numbers):
    colours = {name: xyz(values) for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries)}
    return icc(b"RGB ", b"XYZ ", colours | {name: curve(numbers) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(gamma, connection=b"XYZ "):
    """Of this gamma, or of ink on paper with a dot gain."""
    table = [round(65535 * (level / 255) ** 1.75 * 0.98) for level in range(256)]
    dots = b"curv\0\0\0\0" + struct.pack(">I256H", 256, *table)
    return icc(b"GRAY", connection, {b"kTRC": curve((gamma,)) if gamma else dots})


def inks_profile():
    """Inks that are duller than a screen's colours, as a table to CIELAB."""
    points = 5
    table = bytearray()
    for c, m, y, k in itertools.product(range(points), repeat=4):
        c, m, y, k = (value / (points - 1) for value in (c, m, y, k))
        light = (1 - 0.75 * k) * (1 - 0.35 * c) * (1 - 0.45 * m) * (1 - 0.08 * y)
        chroma = 1 - 0.9 * k
        a = (-32 * c + 62 * m - 5 * y) * chroma
        b = (-42 * c - 4 * m + 80 * y) * chroma
        table += bytes((round(255 * (0.03 + 0.94 * light)), round(128 + a), round(128 + b)))
    identity = b"".join(fixed(value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    straight = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, points, 0)) + identity + straight * 4 + bytes(table) + straight * 3
    return icc(b"CMYK", b"Lab ", {b"A2B0": lut}, b"prtr")


# --- PNG and WebP ----------------------------------------------------------------------------------

COLOUR_CHUNKS = {
    "gamma-1.0": [(b"gAMA", struct.pack(">I", 100000))],
    "gamma-1.8": [(b"gAMA", struct.pack(">I", 55556))],
    "gamma-2.2": [(b"gAMA", struct.pack(">I", 45455))],
    "gamma-3.0": [(b"gAMA", struct.pack(">I", 33333))],
    "gamma-0": [(b"gAMA", struct.pack(">I", 0))],
    "primaries": [(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))],
    "primaries-and-gamma": [
        (b"gAMA", struct.pack(">I", 55556)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 73470, 26530, 27380, 71740, 16660, 890)),
    ],
    "srgb-primaries-and-gamma": [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    ],
    "srgb": [(b"sRGB", b"\0")],
    "srgb-over-gamma": [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100000))],
    "cicp-p3": [(b"cICP", bytes((12, 13, 0, 1)))],
    "cicp-2020": [(b"cICP", bytes((9, 1, 0, 1)))],
    "cicp-linear": [(b"cICP", bytes((1, 8, 0, 1)))],
    "cicp-srgb": [(b"cICP", bytes((1, 13, 0, 1)))],
    **{f"cicp-transfer-{number}": [(b"cICP", bytes((1, number, 0, 1)))] for number in (4, 5, 6, 7, 14, 17)},
    "cicp-narrow": [(b"cICP", bytes((1, 13, 0, 0)))],
    "cicp-matrix": [(b"cICP", bytes((12, 13, 1, 1)))],
    "cicp-unknown": [(b"cICP", bytes((2, 2, 0, 1)))],
    "cicp-over-gamma": [(b"cICP", bytes((12, 13, 0, 1))), (b"gAMA", struct.pack(">I", 100000))],
}


def icc_chunk(profile):
    return (b"iCCP", b"x\0\0" + zlib.compress(profile))


def pngs():
    picture = portrait()
    for name, chunks in COLOUR_CHUNKS.items():
        yield f"png-{name}.png", png(picture, chunks)
        yield f"png-grey-{name}.png", png(picture.convert("L"), chunks)
    for name, profile in rgb_profiles().items():
        yield f"png-icc-{name}.png", png(picture, [icc_chunk(profile)])
    yield "png-icc-over-gamma.png", png(picture, [(b"gAMA", struct.pack(">I", 100000)), icc_chunk(rgb_profiles()["wide"])])
    yield "png-icc-over-srgb.png", png(picture, [(b"sRGB", b"\0"), icc_chunk(rgb_profiles()["wide"])])
    yield "png-cicp-over-icc.png", png(picture, [(b"cICP", bytes((12, 13, 0, 1))), icc_chunk(rgb_profiles()["wide"])])
    yield "png-icc-grey-in-rgb.png", png(picture, [icc_chunk(grey_profile(1.0))])
    yield "png-icc-rgb-in-grey.png", png(picture.convert("L"), [icc_chunk(rgb_profiles()["wide"])])
    yield "png-icc-grey.png", png(picture.convert("L"), [icc_chunk(grey_profile(1.0))])
    yield "png-icc-grey-alpha.png", png(faded(picture.convert("L")), [icc_chunk(grey_profile(1.0))])
    yield "png-icc-alpha.png", png(faded(picture), [icc_chunk(rgb_profiles()["wide"])])
    yield "png-icc-palette.png", png(picture.quantize(64), [icc_chunk(rgb_profiles()["wide"])])
    yield "png-gamma-palette.png", png(picture.quantize(64), [(b"gAMA", struct.pack(">I", 100000))])
    yield "png-alpha.png", png(faded(picture), [])
    yield "png-palette.png", png(picture.quantize(200), [])
    # Of two colours alone the detector sees a softer picture, on purpose.
    for colours in (4, 16):
        yield f"png-palette-{colours}.png", png(picture.quantize(colours), [])
    for depth in (2, 4, 8, 16):
        yield f"png-grey-{depth}-bit.png", deep_png(picture.convert("L"), depth)
        yield f"png-grey-{depth}-bit-gamma.png", deep_png(picture.convert("L"), depth, COLOUR_CHUNKS["gamma-1.0"])
    yield "png-16-bit.png", deep_png(picture, 16)
    yield "png-16-bit-gamma.png", deep_png(picture, 16, COLOUR_CHUNKS["gamma-1.8"])
    yield "png-16-bit-icc.png", deep_png(picture, 16, [icc_chunk(rgb_profiles()["wide"])])


def faded(picture):
    picture = picture.convert("RGBA" if picture.mode == "RGB" else "LA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture


def png(picture, chunks):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return with_chunks(file.getvalue(), chunks)


def with_chunks(content, chunks):
    behind_header = 8 + 25
    return content[:behind_header] + b"".join(chunk(*each) for each in chunks) + content[behind_header:]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_png(picture, depth, chunks=()):
    width, height = picture.size
    bands = len(picture.getbands())
    samples = picture.tobytes()
    lines = []
    for y in range(height):
        row = samples[y * width * bands : (y + 1) * width * bands]
        if depth == 16:
            line = b"".join(bytes((level, level)) for level in row)
        else:
            bits = "".join(format(level >> (8 - depth), f"0{depth}b") for level in row)
            line = int(bits, 2).to_bytes(len(bits) // 8, "big")
        lines.append(b"\0" + line)
    header = struct.pack(">IIBBBBB", width, height, depth, 2 if bands == 3 else 0, 0, 0, 0)
    data = [chunk(b"IHDR", header), *(chunk(*each) for each in chunks), chunk(b"IDAT", zlib.compress(b"".join(lines)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(data) + chunk(b"IEND", b"")


def webps():
    picture = portrait()
    for lossless, (name, profile) in itertools.product((False, True), ({"none": None} | rgb_profiles()).items()):
        file = io.BytesIO()
        picture.save(file, "WebP", lossless=lossless, quality=95, icc_profile=profile or b"")
        yield f"webp-{'lossless' if lossless else 'lossy'}-{name}.webp", file.getvalue()
    file = io.BytesIO()
    faded(picture).save(file, "WebP", lossless=True)
    yield "webp-alpha.webp", file.getvalue()


# --- other formats ---------------------------------------------------------------------------------


def others():
    picture = portrait()
    for mode, form in {"24": picture, "grey": picture.convert("L"), "palette": picture.quantize(200)}.items():
        yield f"bmp-{mode}.bmp", in_format(form, "BMP")
    yield "gif.gif", in_format(picture.quantize(200), "GIF")
    yield "gif-clear.gif", in_format(cut_out(picture), "GIF")
    for sampling, (name, profile) in itertools.product(("4:2:0", "4:2:2", "4:4:4"), ({"none": None} | rgb_profiles()).items()):
        # Chromium has no chroma between pixels where there is a profile.
        if sampling == "4:4:4" or name == "none":
            options = {"quality": 95, "subsampling": sampling, "icc_profile": profile or b""}
            yield f"avif-{sampling.replace(':', '')}-{name}.avif", in_format(picture, "AVIF", **options)
    yield "avif-grey.avif", in_format(picture.convert("L"), "AVIF", quality=95, subsampling="4:0:0")
    yield "avif-alpha.avif", in_format(faded(picture), "AVIF", quality=95, subsampling="4:4:4")
    for value in range(1, 9):
        tag = Image.Exif()
        tag[0x112] = value
        yield f"avif-orientation-{value}.avif", in_format(picture, "AVIF", quality=95, subsampling="4:4:4", exif=tag)


def cut_out(picture):
    picture = picture.convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size).point(lambda level: 255 if level > 99 else 0))
    return picture


def in_format(picture, name, **options):
    file = io.BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def frames(mode="RGBA"):
    """The portrait, a smaller one upon nothing, and a third."""
    picture = portrait().convert("RGBA")
    small = Image.new("RGBA", SIDES)
    small.paste(picture.resize((SIDES[0] // 2, SIDES[1] // 2)), (8, 8))
    return [frame.convert(mode) for frame in (picture, small, picture.rotate(180))]


def animations():
    def moving(name, shown, **options):
        return in_format(shown[0], name, save_all=True, append_images=shown[1:], duration=[40, 70, 100], **options)

    for disposal in range(4):
        yield f"animated-{disposal}.gif", moving("GIF", frames(), disposal=disposal, loop=0)
    for disposal, blend in itertools.product(range(3), range(2)):
        yield f"animated-{disposal}-{blend}.png", moving("PNG", frames(), disposal=disposal, blend=blend, loop=0)
    yield "animated-default.png", moving("PNG", frames("RGB"), default_image=True)
    yield "animated-lossless.webp", moving("WEBP", frames(), lossless=True)
    yield "animated-lossy.webp", moving("WEBP", frames("RGB"), quality=95)
    yield "animated-lossy-clear.webp", moving("WEBP", frames(), quality=95)


def tiffs():
    picture = portrait()
    for coding in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"tiff-{coding}.tif", in_format(picture, "TIFF", compression=coding, **({"quality": 95} if coding == "jpeg" else {}))
    for mode in ("L", "LA", "RGBA", "CMYK", "I;16"):
        form = {"LA": faded(picture.convert("L")), "RGBA": faded(picture)}.get(mode) or picture.convert(mode)
        yield f"tiff-{mode.replace(';', '')}.tif", in_format(form, "TIFF")
    yield "tiff-palette.tif", in_format(picture.quantize(200), "TIFF")
    for name, profile in rgb_profiles().items():
        yield f"tiff-{name}.tif", in_format(picture, "TIFF", icc_profile=profile)


# --- what is committed for the ordinary tests ---------------------------------------------------------

CELL = 4


def main(path):
    """Writes every form and what viewers show of it, cell by cell, to a file of JSON lines."""
    import viewers

    contents = dict(forms())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        shown = viewers.in_chromium(folder, sorted(contents))
        lines = []
        for name, content in contents.items():
            line = {"name": name, "file": base64.b64encode(content).decode()}
            for viewer, picture in (("chromium", shown.get(name)), ("pillow", viewers.in_pillow(folder / name))):
                line[viewer] = picture and {"size": picture.size, "cells": cells(picture).hex()}
            lines.append(json.dumps(line) + "\n")
    Path(path).write_text("".join(lines))


def cells(picture):
    """The mean colours of its cells."""
    sides = picture.width // CELL, picture.height // CELL
    return picture.crop((0, 0, sides[0] * CELL, sides[1] * CELL)).resize(sides, Image.Resampling.BOX).tobytes()


if __name__ == "__main__":
    main(sys.argv[1])
