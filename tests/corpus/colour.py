"""Whether the detector sees what viewers show, and whether what is answered shows what came in: every form of
`forms.py`, and the pictures of the corpus, as Chromium renders them now."""

import json
import re
import subprocess

from PIL import Image, ImageChops, ImageStat

import forms
import reported
import viewers

MOST_SEEN, MOST_CHANGED = 3, 2
# Samples that are taken for what they were not made as have differences of colour as sharp as a picture's brightness: how
# they are enlarged, or coded once more, shows.
FALSE_COLOURS = re.compile(r"jpeg-(3-(adobe0|(none|short-jfif)-RGB)|4-(jfif-)?adobe[12])-")
MOST_CHANGED_IN_FALSE_COLOURS = 6
# Chromium takes the levels of an AVIF's alpha for those of a limited range, against the head of its coded data, and does not
# turn a WebP; Pillow is right there.
BY_PILLOW = re.compile(r"avif-alpha|webp-exif|.*\.tif$|.*-(alpha|clear|offset|LA|RGBA|rgba).*\.avif$")
# Nothing is hidden: the pictures are so small that a face would be all of them.
FORMS = ("profile=lossless", "format=png", "profile=reencode&quality=100", "format=webp&quality=100", "format=avif&quality=100")
QUERIES = tuple(f"detect=off&{query}" for query in FORMS)


def complaints(program, ask, folder):
    """`ask(content, query)` is the service's answer: picture, media type, count of faces; nothing if it refuses."""
    folder.mkdir()
    contents = dict(forms.forms()) | dict(reported.forms())
    further = dict(forms.answered_only()) | dict(reported.files())
    for name, content in (contents | further).items():
        (folder / name).write_bytes(content)
    shown = rendered(folder, contents)
    found = list(unlike_the_views(program, folder, shown))
    seen = len(found)
    contents |= further
    shown |= rendered(folder, further)
    found += unlike_the_answers(ask, folder, contents, shown)
    print(f"forms rendered by Chromium: {len(shown)}; views unlike them: {seen}; answers unlike them: {len(found) - seen}")
    return found


def rendered(folder, names):
    """By name, what Chromium shows, or Pillow of what Chromium does not open or takes for something else."""
    by_pillow = {name: viewers.in_pillow(folder / name) for name in names if BY_PILLOW.match(name)}
    return viewers.in_chromium(folder, sorted(set(names) - set(by_pillow))) | by_pillow


def unlike_the_views(program, folder, shown):
    names = sorted(shown)
    tasks = "".join(json.dumps({"picture": str(folder / name), "shown": str(folder / f"{name}-view")}) + "\n" for name in names)
    output = subprocess.run([program], input=tasks, stdout=subprocess.PIPE, check=True, text=True).stdout
    for name, line in zip(names, output.splitlines(), strict=True):
        for road, seen in json.loads(line).items():
            if "refused" in seen:
                yield f"{name}, {road}: shown by Chromium, and refused: {seen['refused']}"
                continue
            difference = min(unlike(Image.open(view), shown[name]) for view in seen["views"])
            if difference > MOST_SEEN:
                yield f"{name}, {road}: the detector sees something else than Chromium shows, by {difference:.1f}"


def unlike_the_answers(ask, folder, contents, shown):
    answers = {}
    for name in sorted(shown):
        for query in QUERIES if is_still(name) else QUERIES[:1]:
            answer = ask(contents[name], query)
            if answer is None:
                yield f"{name}, {query}: refused"
            else:
                ending = next(ending for ending, kind in viewers.TYPES.items() if kind == answer[1])
                file = f"{query.removeprefix('detect=off&').replace('=', '-').replace('&', '-')}-{name}{ending}"
                answers[file] = name
                (folder / file).write_bytes(answer[0])
    after = rendered(folder, answers)
    for answer, name in answers.items():
        if answer not in after:
            yield f"{answer}: Chromium does not show it"
        elif (difference := unlike(after[answer], shown[name])) > most_changed(name):
            yield f"{answer}: shows something else than what came in, by {difference:.1f}"


def most_changed(name):
    return MOST_CHANGED_IN_FALSE_COLOURS if FALSE_COLOURS.match(name) else MOST_CHANGED


def is_still(name):
    return not name.startswith("animated")


def unlike(one, other):
    if one.size != other.size:
        return 255
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other)).mean) / 3
