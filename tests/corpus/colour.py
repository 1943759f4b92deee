"""Whether the detector sees what viewers show, and whether what is answered shows what came in: every form of
`forms.py`, and the pictures of the corpus, as Chromium renders them now."""

import json
import subprocess

from PIL import Image, ImageChops, ImageStat

import forms
import viewers

MOST_SEEN, MOST_CHANGED = 3, 2
ROADS = ("lossless", "reencode")


def complaints(program, ask, folder):
    """`ask(content, profile)` is the service's answer: picture, count of faces; nothing if it refuses."""
    folder.mkdir()
    contents = dict(forms.forms())
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    shown = viewers.in_chromium(folder, sorted(contents))
    found = list(unlike_the_views(program, folder, shown))
    seen = len(found)
    found += unlike_the_answers(ask, folder, contents, shown)
    print(f"forms rendered by Chromium: {len(shown)}; views unlike them: {seen}; answers unlike them: {len(found) - seen}")
    return found


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
        for road in ROADS:
            answer = ask(contents[name], road)
            if answer and answer[1] == 0:
                answers[f"{road}-{name}"] = name
                (folder / f"{road}-{name}").write_bytes(answer[0])
    after = viewers.in_chromium(folder, sorted(answers))
    for answer, name in answers.items():
        if answer not in after:
            yield f"{answer}: Chromium does not show it"
        elif (difference := unlike(after[answer], shown[name])) > MOST_CHANGED:
            yield f"{answer}: shows something else than what came in, by {difference:.1f}"


def unlike(one, other):
    if one.size != other.size:
        return 255
    return sum(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other)).mean) / 3
