"""The development pictures spoilt in the ways that hide a face from a detector. Each form is a name, and pictures with the faces in them."""
import random
import statistics

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

GREY = (110, 112, 115)
DARK = (40, 38, 45)
PALE = (200, 215, 225)
PAPER = (236, 232, 220)
GAP = 60
LONG_SIDE = 1280
HEIGHTS = [34, 45]
LARGE = {"12 MP": (4000, 3000), "24 MP": (6000, 4000), "50 MP": (8160, 6120), "360°": (5760, 2880)}


def forms(pictures):
    """Name of a form, name of a picture, and how to make it: a function without arguments that gives an image and its faces.

    `pictures` is (name, function that opens it, faces) of each original.
    """
    groups = [picture for picture in pictures if len(picture[2]) >= 3]
    for form, spoil in SPOILT.items():
        for name, image, faces in groups:
            yield form, name, lambda spoil=spoil, image=image, faces=faces: spoil(*fitted(image(), faces))
    for height in HEIGHTS:
        for form in ["masked", "motion", "turned 90°", "turned 180°", "negative"]:
            for name, image, faces in groups:
                yield f"{form}, {height} px", name, lambda form=form, image=image, faces=faces, height=height: far(*SPOILT[form](image(), faces), height)
    for name, image, faces in pictures:
        for share in [0.7, 1.0, 1.3]:
            yield f"close-up {share}", name, lambda image=image, faces=faces, share=share: close_up(image(), faces[0], share, 900)
        yield "close-up 1.0, 400 px", name, lambda image=image, faces=faces: close_up(image(), faces[0], 1.0, 400)
        yield "cut in half", name, lambda image=image, faces=faces: cut(image(), faces[0])
    for form, size in LARGE.items():
        yield f"{form}, 60 px", "all", lambda size=size: mosaic(groups, size, 60)
    for form, pitch, height in [("printed in dots, 60 px", 4, 60), ("printed in coarse dots, 90 px", 6, 90)]:
        for name, image, faces in groups:
            yield form, name, lambda image=image, faces=faces, pitch=pitch, height=height: printed(*scaled(image(), faces, height / median_height(faces)), pitch)
    yield "a printed page, 40 to 90 px", "all", lambda: page(groups, (2480, 3508), [40, 65, 90])
    for degrees in [60, 135]:
        for name, image, faces in pictures:
            yield f"turned {degrees}°", name, lambda image=image, faces=faces, degrees=degrees: askew(*fitted(image(), faces), degrees)
    for form, bars in BARS.items():
        for name, image, faces in pictures:
            yield form, name, lambda image=image, faces=faces, bars=bars: behind(*fitted(image(), faces), bars)
    heads = lambda context: [head(image(), face, context) for _, image, faces in pictures for face in faces]
    yield "contact sheet, 34 px", "all", lambda: sheet(heads(1.0), (1920, 1080), 34)
    yield "contact sheet, 90 px", "all", lambda: sheet(heads(1.3), (1280, 960), 90)
    yield "collage, turned", "all", lambda: sheet(heads(1.5), (1600, 1200), 200, turn=True)


def turned(quarters):
    """By so many quarter turns, clockwise."""

    def spoil(image, faces):
        for _ in range(quarters):
            height = image.height
            image = image.transpose(Image.Transpose.ROTATE_270)
            faces = [[height - y1, x0, height - y0, x1] for x0, y0, x1, y1 in faces]
        return image, faces

    return spoil


def dark(image, faces):
    light = (np.asarray(image) / 255) ** 1.2 * 0.1 * 255
    noise = np.random.default_rng(1).normal(0, 4, light.shape)
    return Image.fromarray((light + noise).clip(0, 255).astype(np.uint8)), faces


def negative(image, faces):
    """As film is scanned."""
    return ImageOps.invert(image), faces


def printed(image, faces, pitch=4):
    """In dots of one ink, four pixels apart, as newspapers print and scanners see them."""
    rows, columns = np.mgrid[: image.height, : image.width] * (2 * np.pi / pitch)
    screen = (np.cos((columns + rows) / np.sqrt(2)) + np.cos((columns - rows) / np.sqrt(2))) / 4 + 0.5
    dots = np.where(np.asarray(image.convert("L")) / 255 > screen, 245, 25).astype(np.uint8)
    return Image.fromarray(dots).convert("RGB").filter(ImageFilter.GaussianBlur(0.6)), faces


def page(groups, size, heights):
    """As many printed groups as a scanned page has room for, with faces of these heights by turns."""
    ground, faces = Image.new("RGB", size, PAPER), []
    left = top = lowest = GAP
    for index in range(2 * len(groups)):
        _, image, of_group = groups[index % len(groups)]
        small, of_group = printed(*scaled(image(), of_group, heights[index % len(heights)] / median_height(of_group)))
        if left + small.width > size[0]:
            left, top = GAP, lowest + GAP
        if left + small.width > size[0] or top + small.height > size[1]:
            continue
        ground.paste(small, (left, top))
        faces += moved(of_group, left, top)
        left, lowest = left + small.width + GAP, max(lowest, top + small.height)
    return ground, faces


def behind(image, faces, bars):
    """Behind bars or a net: each face and as much about it."""
    rows, columns = np.mgrid[: image.height, : image.width]
    pixels = np.asarray(image).copy()
    for x0, y0, x1, y1 in faces:
        height = y1 - y0
        about = (columns > x0 - height) & (columns < x1 + height) & (rows > y0 - height) & (rows < y1 + height)
        pixels[about & bars((columns - x0) / height, (rows - y0) / height)] = DARK
    return Image.fromarray(pixels), faces


BARS = {
    "behind a net": lambda x, y: ((x + y) % 0.16 < 0.035) | ((x - y) % 0.16 < 0.035),
    "behind wire": lambda x, y: (x % 0.16 < 0.03) | (y % 0.16 < 0.03),
    "behind bars": lambda x, y: x % 0.2 < 0.07,
}


def askew(image, faces, degrees=45):
    """Turned by so much, counterclockwise; boxes about the same middles, between upright and lying ones."""
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=GREY)
    return turned, [askew_box(face, image.size, turned.size, np.radians(degrees)) for face in faces]


def askew_box(face, size, turned, angle):
    x0, y0, x1, y1 = face
    right, down = (x0 + x1 - size[0]) / 2, (y0 + y1 - size[1]) / 2
    x, y = turned[0] / 2 + right * np.cos(angle) + down * np.sin(angle), turned[1] / 2 + down * np.cos(angle) - right * np.sin(angle)
    half = (x1 - x0 + y1 - y0) / 2**0.5 * 0.45
    return [x - half, y - half, x + half, y + half]


def blurred(image, faces):
    return image.filter(ImageFilter.GaussianBlur(0.1 * median_height(faces))), faces


def motion(image, faces):
    """Each face smeared sideways over half its width."""
    pixels = np.asarray(image).astype(np.float32)
    for x0, y0, x1, y1 in faces:
        width = max(2, round((x1 - x0) / 2))
        left, right = max(0, round(x0 - width)), min(image.width, round(x1 + width))
        rows = slice(max(0, round(y0 - width)), round(y1 + width))
        part = np.pad(pixels[rows, left:right], ((0, 0), (width // 2, width - width // 2), (0, 0)), "edge").cumsum(1)
        pixels[rows, left:right] = (part[:, width:] - part[:, :-width]) / width
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), faces


def masked(image, faces):
    def draw(pen, x, y):
        pen.polygon([(x(0.06), y(0.5)), (x(0.5), y(0.45)), (x(0.94), y(0.5)), (x(0.88), y(0.85)), (x(0.5), y(1)), (x(0.12), y(0.85))], PALE)

    return drawn(image, faces, draw)


def hooded(image, faces):
    """Only a band about the eyes is left."""

    def draw(pen, x, y):
        for left, top, right, bottom in [(-0.25, -0.4, 1.25, 0.22), (-0.25, 0.52, 1.25, 1.2), (-0.25, 0.22, 0.08, 0.52), (0.92, 0.22, 1.25, 0.52)]:
            pen.rectangle((x(left), y(top), x(right), y(bottom)), DARK)

    return drawn(image, faces, draw)


def drawn(image, faces, draw):
    image = image.copy()
    pen = ImageDraw.Draw(image)
    for x0, y0, x1, y1 in faces:
        draw(pen, lambda share: x0 + share * (x1 - x0), lambda share: y0 + share * (y1 - y0))
    return image, faces


def quality_4(image, faces):
    import io

    file = io.BytesIO()
    image.save(file, "JPEG", quality=4)
    return Image.open(file).convert("RGB"), faces


def fitted(image, faces):
    """No longer than LONG_SIDE."""
    return scaled(image, faces, min(1, LONG_SIDE / max(image.size)))


def far(image, faces, height, frame=(1600, 1200)):
    """On a grey frame, so small that its median face has this height."""
    image, faces = scaled(image, faces, height / median_height(faces))
    left, top = (frame[0] - image.width) // 2, (frame[1] - image.height) // 2
    ground = Image.new("RGB", frame, GREY)
    ground.paste(image, (left, top))
    return ground, moved(faces, left, top)


def mosaic(groups, size, height):
    """All groups in three columns and rows of one large picture."""
    ground, faces = Image.new("RGB", size, GREY), []
    for index, (_, image, of_group) in enumerate(groups):
        small, of_group = scaled(image(), of_group, height / median_height(of_group))
        left = size[0] * (index % 3) // 3 + (size[0] // 3 - small.width) // 2
        top = size[1] * (index // 3) // 3 + (size[1] // 3 - small.height) // 2
        ground.paste(small, (left, top))
        faces += moved(of_group, left, top)
    return ground, faces


def close_up(image, face, share, height):
    """So near that the face takes this share of the height; what lies beyond the picture is not shown."""
    x0, y0, x1, y1 = face
    tall = (y1 - y0) / share
    wide = tall * 0.8
    left = min(max(0, (x0 + x1 - wide) / 2), max(0, image.width - wide))
    top = min(max(0, (y0 + y1 - tall) / 2), max(0, image.height - tall))
    right, bottom = min(image.width, left + wide), min(image.height, top + tall)
    cropped = image.crop((round(left), round(top), round(right), round(bottom)))
    image, faces = scaled(cropped, moved([face], -left, -top), height / tall)
    return image, [clamped(face, image.size) for face in faces]


def cut(image, face):
    """The right half of a face at the left border."""
    left = round((face[0] + face[2]) / 2)
    image = image.crop((left, 0, image.width, image.height))
    return fitted(image, [clamped(face, image.size) for face in moved([face], -left, 0)])


def head(image, face, context):
    x0, y0, x1, y1 = face
    half = max(x1 - x0, y1 - y0) * context / 2
    left, top = round((x0 + x1) / 2 - half), round((y0 + y1) / 2 - half)
    side = round(2 * half)
    return image.crop((left, top, left + side, top + side)), moved([face], -left, -top)[0]


def sheet(heads, size, side, turn=False):
    """Heads side by side without a gap, each in a square."""
    chance = random.Random(0)
    ground, faces = Image.new("RGB", size), []
    for top in range(0, size[1] - side + 1, side):
        for left in range(0, size[0] - side + 1, side):
            image, face = chance.choice(heads)
            small, of_one = image.resize((side, side), Image.Resampling.BOX), [[edge * side / image.width for edge in face]]
            if turn:
                small, of_one = turned(chance.randrange(4))(small, of_one)
            ground.paste(small, (left, top))
            faces += moved(of_one, left, top)
    return ground, faces


def scaled(image, faces, scale):
    if scale == 1:
        return image, faces
    size = round(image.width * scale), round(image.height * scale)
    return image.resize(size, Image.Resampling.LANCZOS), [[edge * scale for edge in face] for face in faces]


def moved(faces, right, down):
    return [[x0 + right, y0 + down, x1 + right, y1 + down] for x0, y0, x1, y1 in faces]


def clamped(face, size):
    return [min(max(0, edge), size[axis % 2]) for axis, edge in enumerate(face)]


def median_height(faces):
    return statistics.median(bottom - top for _, top, _, bottom in faces)


SPOILT = {
    "turned 90°": turned(1),
    "turned 180°": turned(2),
    "turned 270°": turned(3),
    "askew": askew,
    "negative": negative,
    "printed in dots": printed,
    "dark": dark,
    "blurred": blurred,
    "motion": motion,
    "masked": masked,
    "eyes only": hooded,
    "JPEG quality 4": quality_4,
}
