"""Forms that viewers and services were reported to read wrongly: each names the report."""

import io
import struct
import zlib

from PIL import Image

from forms import SIDES, chunk, deep_png, faded, icc_chunk, in_format, png, portrait, rgb_profiles, saved, segment, segments, with_chunks


def forms():
    """Name and content of each file that Chromium shows."""
    picture = portrait()
    yield from jpegs(picture)
    yield from pngs(picture)
    yield from gifs(picture)
    yield from bmps(picture)
    yield from webps(picture)


def exif(*entries, order=">"):
    """A directory of entries: tag, type, value."""
    head = b"MM\0*" if order == ">" else b"II*\0"
    body = b"".join(
        struct.pack(order + ("HHIHH" if kind == 3 else "HHII"), tag, kind, 1, *([value, 0] if kind == 3 else [value]))
        for tag, kind, value in entries
    )
    return head + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


TURNED, UPSIDE_DOWN = exif((0x112, 3, 6)), exif((0x112, 3, 3))


def jpegs(picture):
    plain = saved(picture, None)
    app1 = lambda data: segment(0xE1, b"Exif\0\0" + data)
    # imgproxy 1182: two EXIF blocks that contradict each other.
    yield "jpeg-two-exif.jpg", plain[:2] + app1(TURNED) + app1(UPSIDE_DOWN) + plain[2:]
    yield "jpeg-xmp-before-exif.jpg", plain[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>") + app1(TURNED) + plain[2:]
    # exiftool's forum: the orientation as a long number, and one behind others out of order.
    yield "jpeg-long-orientation.jpg", plain[:2] + app1(exif((0x112, 4, 6), order="<")) + plain[2:]
    yield "jpeg-long-orientation-big.jpg", plain[:2] + app1(exif((0x112, 4, 6))) + plain[2:]
    yield "jpeg-exif-out-of-order.jpg", plain[:2] + app1(exif((0x128, 3, 2), (0x112, 3, 6))) + plain[2:]
    yield "jpeg-orientation-twice.jpg", plain[:2] + app1(exif((0x112, 3, 6), (0x112, 3, 3))) + plain[2:]
    # zenjpeg 2: the frame of a thumbnail before the picture's.
    thumbnail = saved(picture.resize((16, 12)), None)
    yield "jpeg-thumbnail.jpg", plain[:2] + app1(TURNED + thumbnail) + plain[2:]
    # jpeg-decoder 100 (Brother DSmobile 920DW): markers of restarts behind the last interval.
    restarting = io.BytesIO()
    picture.save(restarting, "JPEG", quality=85, subsampling=0, restart_marker_blocks=3)
    restarting = restarting.getvalue()
    yield "jpeg-restarts.jpg", restarting
    count = sum(restarting.count(bytes([0xFF, 0xD0 + n])) for n in range(8))
    more = b"".join(bytes([0xFF, 0xD0 + (count + n) % 8]) for n in range(3))
    yield "jpeg-one-restart-too-many.jpg", restarting[:-2] + more[:2] + restarting[-2:]
    yield "jpeg-restarts-too-many.jpg", restarting[:-2] + more + restarting[-2:]
    # Legal since T.81 B.1.1.2, and left out by many readers: bytes that fill up before every marker.
    yield "jpeg-filled-restarts.jpg", restarting.replace(b"\xff\xd0", b"\xff\xff\xff\xd0").replace(b"\xff\xd1", b"\xff\xff\xd1")
    # Each table in a segment of its own, and all of a kind in one.
    yield "jpeg-tables-together.jpg", together(plain)
    yield "jpeg-something-behind.jpg", plain + thumbnail + b"rest"


def together(content):
    """All tables of a kind in one segment."""
    out, tables = b"", {0xDB: b"", 0xC4: b""}
    for marker, body in segments(content):
        if marker in tables:
            tables[marker] += body
        elif marker == 0xDA:
            out += segment(0xC4, tables[0xC4]) + segment(marker, body[0]) + body[1]
        else:
            out += segment(marker, body)
    return b"\xff\xd8" + segment(0xDB, tables[0xDB]) + out + b"\xff\xd9"


def pngs(picture):
    grey = picture.convert("L")
    # libvips 234, sharp: one level is clear, in 16 bits, where only one of its bytes is like it.
    level = deep_level(grey)
    yield "png-clear-level-16-bit.png", deep_png(grey, 16, [(b"tRNS", level)])
    yield "png-clear-level.png", png(grey, [(b"tRNS", struct.pack(">H", grey.getpixel((5, 5))))])
    yield "png-clear-level-high-byte.png", png(grey, [(b"tRNS", struct.pack(">H", 0x100 | grey.getpixel((5, 5))))])
    yield "png-clear-colour.png", png(picture, [(b"tRNS", struct.pack(">HHH", *picture.getpixel((5, 5))))])
    palette = picture.quantize(16)
    yield "png-short-alpha.png", in_format(palette, "PNG", transparency=bytes([0, 128, 200]))
    for mode, name in (("L", "grey"), ("RGB", "rgb"), ("RGBA", "rgba"), ("P", "palette")):
        shown = palette if mode == "P" else faded(picture) if mode == "RGBA" else picture.convert(mode)
        yield f"png-interlaced-{name}.png", interlaced(shown)
    content = png(picture, [])
    # Pillow 1991: coded data a byte a chunk, some without any.
    yield "png-byte-by-byte.png", in_pieces(content, 1)
    yield "png-broken-check.png", png_with_broken_check(content, icc_chunk(rgb_profiles()["wide"]))
    # Of no frames, or of more than there can be: the still counts.
    for name, count, plays in (("none", 0, 0), ("many", 1 << 31, 0), ("often", 1, 1 << 31)):
        control = (b"acTL", struct.pack(">II", count, plays))
        frame = chunk(b"fcTL", struct.pack(">5I2H2B", 0, *SIDES, 0, 0, 1, 10, 0, 0)) + chunk(b"fdAT", bytes(4) + black(picture))
        yield f"png-animation-{name}.png", with_chunks(content, [control])[:-12] + frame + content[-12:]
    for name, told in (("exif", (b"eXIf", TURNED)), ("gamma", (b"gAMA", struct.pack(">I", 100000))), ("cicp", (b"cICP", bytes((12, 13, 0, 1))))):
        yield f"png-broken-check-of-{name}.png", png_with_broken_check(content, told)
    yield "png-exif-at-end.png", content[:-12] + chunk(b"eXIf", TURNED) + content[-12:]
    yield "png-two-exif.png", png(picture, [(b"eXIf", TURNED), (b"eXIf", UPSIDE_DOWN)])
    yield "png-something-behind.png", content + b"rest" * 9
    yield "png-broken-check-of-data.png", with_broken_check_of_data(content)


def deep_level(grey):
    content = deep_png(grey, 16)
    data = b""
    at = 8
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        data += content[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    return zlib.decompress(data)[1:3]


def interlaced(picture):
    """By Adam7, unfiltered."""
    kinds = {"1": (1, 0), "L": (8, 0), "RGB": (8, 2), "RGBA": (8, 6), "P": (8, 3)}
    depth, colour = kinds[picture.mode]
    data = b""
    for left, top, across, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        columns, rows = range(left, picture.width, across), range(top, picture.height, down)
        for y in rows if columns else ():
            line = Image.new(picture.mode, (len(columns), 1))
            line.putdata([picture.getpixel((x, y)) for x in columns])
            data += b"\0" + line.tobytes()
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *picture.size, depth, colour, 0, 0, 1))
    if picture.mode == "P":
        out += chunk(b"PLTE", bytes(picture.getpalette()[:48]))
    return out + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def in_pieces(content, size):
    out, at = content[:8], 8
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        pieces = [body[n : n + size] for n in range(0, length, size)] + [b""] if name == b"IDAT" else [body]
        out += b"".join(chunk(name, piece) for piece in pieces)
        at += 12 + length
    return out


def png_with_broken_check(content, broken):
    """An ancillary chunk whose check value is wrong is as if it was not there."""
    at = 8 + 25
    return content[:at] + chunk(*broken)[:-1] + bytes([chunk(*broken)[-1] ^ 1]) + content[at:]


def black(picture):
    return zlib.compress(bytes((1 + 3 * picture.width) * picture.height))


def with_broken_check_of_data(content):
    at = content.index(b"IDAT")
    end = at + 4 + struct.unpack_from(">I", content, at - 4)[0]
    return content[:end] + bytes([content[end] ^ 1]) + content[end + 1 :]


def gifs(picture):
    palette = picture.quantize(16)
    yield "gif-interlaced.gif", in_format(palette, "GIF", interlace=True)
    # Pillow 4943: levels that the palette does not have.
    yield "gif-beyond-palette.gif", gif(palette, 8)
    yield "gif-offset.gif", gif(palette, 16, screen=(SIDES[0] + 9, SIDES[1] + 7), at=(5, 4))
    yield "gif-clear-first.gif", gif(palette, 16, clear=palette.getpixel((5, 5)))
    yield "gif-no-end.gif", gif(palette, 16)[:-1]
    yield "gif-no-screen.gif", gif(palette, 16, screen=(0, 0))
    yield "gif-beyond-screen.gif", gif(palette, 16, screen=(SIDES[0] - 6, SIDES[1] - 6))
    yield "gif-87a.gif", b"GIF87a" + gif(palette, 16)[6:]


def gif(palette, colours, screen=SIDES, at=(0, 0), clear=None):
    """With so many colours in its own table."""
    bits = (colours - 1).bit_length()
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0)
    if clear is not None:
        out += b"\x21\xf9\4" + struct.pack("<BHBB", 1, 0, clear, 0)
    out += b"," + struct.pack("<HHHHB", *at, *palette.size, 0x80 | (bits - 1)) + bytes(palette.getpalette()[: 3 << bits])
    # Codes of five bits, with a clearing before the table would grow.
    codes, buffer, count = b"", 0, 0
    levels = palette.tobytes()
    stream = [code for n, level in enumerate(levels) for code in (([16] if n % 12 == 0 else []) + [level])] + [17]
    for code in stream:
        buffer |= code << count
        count += 5
        while count >= 8:
            codes, buffer, count = codes + bytes([buffer & 255]), buffer >> 8, count - 8
    codes += bytes([buffer & 255])
    blocks = b"".join(bytes([len(codes[n : n + 255])]) + codes[n : n + 255] for n in range(0, len(codes), 255))
    return out + b"\4" + blocks + b"\0;"


def bmps(picture):
    width, height = picture.size
    # Rows lie upside down, each filled up to four bytes.
    rows = [[picture.getpixel((x, y)) for x in range(width)] for y in reversed(range(height))]
    each = lambda form: b"".join(padded(b"".join(form(*pixel) for pixel in row)) for row in rows)
    fives = lambda r, g, b: struct.pack("<H", r >> 3 << 10 | g >> 3 << 5 | b >> 3)
    sixes = lambda r, g, b: struct.pack("<H", r >> 3 << 11 | g >> 2 << 5 | b >> 3)
    yield "bmp-555.bmp", bmp(40, picture.size, 16, 0, b"", each(fives))
    yield "bmp-565.bmp", bmp(40, picture.size, 16, 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F), each(sixes))
    yield "bmp-clear-32.bmp", bmp(40, picture.size, 32, 0, b"", each(lambda r, g, b: bytes([b, g, r, 0])))
    yield "bmp-rgb-order.bmp", bmp(40, picture.size, 32, 3, struct.pack("<III", 0xFF, 0xFF00, 0xFF0000), each(lambda r, g, b: bytes([r, g, b, 0])))
    top_down = b"".join(padded(b"".join(bytes([b, g, r]) for r, g, b in row)) for row in reversed(rows))
    yield "bmp-top-down.bmp", bmp(40, (width, -height), 24, 0, b"", top_down)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    rest = b"BGRs" + bytes(48) + bytes(16)
    yield "bmp-v5-alpha.bmp", bmp(124, picture.size, 32, 3, masks + rest, each(lambda r, g, b: bytes([b, g, r, 200])))
    plain = each(lambda r, g, b: bytes([b, g, r]))
    for name, profile in rgb_profiles().items():
        space = bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + len(plain), len(profile), 0)
        yield f"bmp-v5-profile-{name}.bmp", bmp(124, picture.size, 24, 0, space, plain) + profile
    # BI_ALPHABITFIELDS, of Windows CE: four masks behind the short head.
    yield "bmp-four-masks-565.bmp", bmp(40, picture.size, 16, 6, struct.pack("<IIII", 0xF800, 0x7E0, 0x1F, 0), each(sixes))
    yield "bmp-four-masks-alpha.bmp", bmp(40, picture.size, 32, 6, masks, each(lambda r, g, b: bytes([b, g, r, 200])))
    # Pillow 9443: steps to the right and up within the runs.
    palette = picture.quantize(16)
    colours = b"".join(bytes([b, g, r, 0]) for r, g, b in zip(*[iter(palette.getpalette()[:48])] * 3))
    runs = b""
    for y in reversed(range(height)):
        line = [palette.getpixel((x, y)) for x in range(width)]
        runs += b"".join(bytes([1, level]) for level in line[:10]) + b"\0\2\5\0" + b"".join(bytes([1, level]) for level in line[15:]) + b"\0\0"
    yield "bmp-steps.bmp", bmp(40, picture.size, 8, 1, colours, runs + b"\0\1", 16)
    core = b"".join(padded(bytes(palette.getpixel((x, y)) for x in range(width))) for y in reversed(range(height)))
    yield "bmp-few-colours.bmp", bmp(40, picture.size, 8, 0, colours, core, 16)


def padded(line):
    return line + bytes(-len(line) % 4)


def bmp(head, size, depth, compression, rest, data, colours=0):
    info = struct.pack("<IiiHHIIiiII", head, *size, 1, depth, compression, len(data), 2835, 2835, colours, 0) + rest
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(data), 0, 0, 14 + len(info)) + info + data


def webps(picture):
    lossy = in_format(picture, "WEBP", quality=90)
    yield "webp-exif.webp", in_format(picture, "WEBP", quality=90, exif=b"Exif\0\0" + TURNED)
    yield "webp-exif-lossless.webp", in_format(picture, "WEBP", lossless=True, exif=TURNED)
    yield "webp-named-jpg.webp", lossy
    odd = picture.crop((0, 0, 37, 31))
    yield "webp-odd.webp", in_format(odd, "WEBP", quality=90)
    yield "webp-odd-alpha.webp", in_format(faded(odd), "WEBP", quality=90, alpha_quality=50)
    # Chunks that the head says nothing of.
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + struct.pack("<I", SIDES[0] - 1)[:3] + struct.pack("<I", SIDES[1] - 1)[:3]
    profile = rgb_profiles()["wide"]
    profile = b"ICCP" + struct.pack("<I", len(profile)) + profile + bytes(len(profile) % 2)
    body = b"WEBP" + extended + profile + lossy[12:]
    yield "webp-unannounced-profile.webp", b"RIFF" + struct.pack("<I", len(body)) + body
    yield "webp-something-behind.webp", lossy + b"rest"


def files():
    """Those whose view is not compared: dots, which the detector is shown softly, and TIFFs, of which Pillow is right."""
    picture = portrait()
    yield "png-interlaced-1-bit.png", interlaced(picture.convert("1"))
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
        for mode in ("L", "RGB", "1"):
            shown = picture.convert(mode)
            # Pillow 279 and 5249, Bio-Formats 3306: the order of bits in a byte. Without compression Pillow leaves bytes as they are.
            if mode == "1" or compression != "raw":
                yield f"tiff-bits-reversed-{mode}-{compression}.tif", in_format(shown, "TIFF", compression=compression, tiffinfo={266: 2})
            if mode != "1" and compression != "raw":
                yield f"tiff-differences-{mode}-{compression}.tif", in_format(shown, "TIFF", compression=compression, tiffinfo={317: 2})
    yield "tiff-group4-reversed.tif", in_format(picture.convert("1"), "TIFF", compression="group4", tiffinfo={266: 2})
    yield "tiff-group3.tif", in_format(picture.convert("1"), "TIFF", compression="group3")
    for orientation in range(1, 9):
        yield f"tiff-orientation-{orientation}.tif", in_format(picture, "TIFF", tiffinfo={274: orientation})
    yield from planes(picture)


def planes(picture):
    """geotiff.js 111: differences within planes that lie one after the other; big-endian, 8 and 16 bits."""
    width, height = picture.size
    for depth in (8, 16):
        for predictor in (1, 2):
            data = []
            for band in picture.split():
                lines = b""
                for y in range(height):
                    levels = [band.getpixel((x, y)) * (257 if depth == 16 else 1) for x in range(width)]
                    if predictor == 2:
                        levels = [level - before & ((1 << depth) - 1) for level, before in zip(levels, [0, *levels])]
                    lines += struct.pack(f">{width}{'H' if depth == 16 else 'B'}", *levels)
                data.append(zlib.compress(lines))
            yield f"tiff-planes-{depth}-{predictor}.tif", tiff(picture.size, depth, predictor, data)


def tiff(size, depth, predictor, strips):
    entries = [(256, 4, size[0]), (257, 4, size[1]), (258, 3, (depth,) * 3), (259, 3, 8), (262, 3, 2), (273, 4, None), (277, 3, 3),
               (278, 4, size[1]), (279, 4, tuple(map(len, strips))), (284, 3, 2), (317, 3, predictor)]
    at = 8 + 2 + 12 * len(entries) + 4
    places = at + 6 + 12 + 12
    offsets = tuple(places + sum(map(len, strips[:n])) for n in range(3))
    directory, extra = b"", b""
    for tag, kind, value in entries:
        value = offsets if value is None else value
        values = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f">{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            field, extra = struct.pack(">I", at + len(extra)), extra + packed
        else:
            field = packed.ljust(4, b"\0")
        directory += struct.pack(">HHI", tag, kind, len(values)) + field
    return b"MM\0*" + struct.pack(">IH", 8, len(entries)) + directory + bytes(4) + extra + b"".join(strips)
