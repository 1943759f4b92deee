"""What a person does on the page, done by a browser; and what must never happen meanwhile."""

import base64
import shutil
import sys
import time
import traceback
import zipfile
from pathlib import Path

from driver import Browser
from page import PORTRAIT, Page

# What the service refuses is an error in the console too, whatever the page does.
REFUSED = "Failed to load resource: the server responded with a status of 4"


def a_picture_is_hidden_in_and_says_to_look(page):
    page.add(PORTRAIT)
    assert page.text("#verdict .count") == "1 face hidden"
    assert "The smallest face found is " in page.text("#verdict .look") and "look yourself" in page.text("#verdict .look")
    assert page.count(".box.face") == 1 and page.text(".box .tag").startswith("0.")
    assert page.count("#removed li") >= 1


def twenty_come_at_once_and_the_archive_has_them_all(page):
    names = [f"{index % 10}.png" for index in range(20)]
    for index, name in enumerate(names):
        (page.folder / str(index // 10)).mkdir(exist_ok=True)
        shutil.copy(PORTRAIT, page.folder / str(index // 10) / name)
    page.add(*(page.folder / str(index // 10) / name for index, name in enumerate(names)))
    assert page.text("#progress-text") == "20 pictures, 20 faces hidden"
    page.browser.click("#download-all")
    archive = page.folder / "veiled.zip"
    end = time.monotonic() + 30
    while not (archive.exists() and zipfile.is_zipfile(archive)):
        assert time.monotonic() < end, "no archive came"
        time.sleep(0.1)
    with zipfile.ZipFile(archive) as held:
        assert held.testzip() is None
        assert len({name.lower() for name in held.namelist()}) == 20, held.namelist()
        assert "3-veiled (2).png" in held.namelist()
        assert all(held.read(name).startswith(b"\x89PNG") for name in held.namelist())
    archive.unlink()


def a_missed_face_is_drawn_and_nothing_else_changes(page):
    page.add(page.collage)
    assert page.text("#verdict .count") == "3 faces hidden"
    page.keep_pixels("before")
    page.browser.click("#draw")
    page.browser.drag(page.on_screen(880, 200), page.on_screen(1000, 300))
    page.settle()
    page.keep_pixels("after")
    left, top, right, bottom = page.difference("before", "after")
    # Rounded outward, to 16 pixels at most.
    assert 864 <= left <= 888 and 184 <= top <= 208 and 992 <= right <= 1016 and 292 <= bottom <= 316, (left, top, right, bottom)
    assert "1 place hidden by hand" in page.text("#verdict")
    assert page.text("#count-by_hand") == "1" and page.count(".box.region") == 1
    page.browser.click("#undo")
    page.settle()
    page.keep_pixels("undone")
    assert page.difference("before", "undone") is None and page.count(".box.region") == 0
    page.browser.click("#redo")
    page.settle()
    page.keep_pixels("again")
    assert page.difference("after", "again") is None


def a_face_is_spared_and_hidden_again(page):
    page.add(page.collage)
    page.keep_pixels("hidden")
    page.browser.click(".box.face:nth-of-type(2)")
    page.settle()
    assert page.count(".box.spared") == 1 and page.text("#verdict .count") == "2 faces hidden"
    assert page.text("#verdict .warn") == "1 face spared, and still to be seen"
    page.keep_pixels("spared")
    left, _, right, bottom = page.difference("hidden", "spared")
    assert right - left < 260 and bottom < 320
    page.browser.click(".box.spared")
    page.settle()
    page.keep_pixels("again")
    assert page.difference("hidden", "again") is None


def the_look_changes_for_all_and_for_one(page):
    page.add(page.collage, PORTRAIT)
    page.keep_pixels("smooth")
    page.browser.click("input[name=effect][value=solid]")
    page.settle()
    page.keep_pixels("solid")
    assert page.difference("smooth", "solid") is not None
    page.browser.click("[data-key=whom_one]")
    page.browser.click("input[name=effect][value=smooth]")
    page.settle()
    page.keep_pixels("one")
    assert page.difference("smooth", "one") is None
    page.browser.click("#picture-next")
    page.settle()
    assert page.browser.js("return document.querySelector('input[name=effect]:checked').value") == "solid"
    page.browser.click("#picture-previous")
    page.settle()
    page.browser.click("#undo")
    page.settle()
    page.keep_pixels("undone")
    assert page.difference("solid", "undone") is None


def the_keyboard_does_everything(page):
    page.add(page.collage)
    browser = page.browser
    browser.js("document.querySelector('#list .row').focus()")
    browser.press("Enter")
    page.settle()
    browser.js("document.getElementById('stage').focus()")
    page.keep_pixels("before")
    browser.press("n")
    browser.until("return document.getElementById('said').textContent.startsWith('1 of 3: Face')")
    browser.press("0", "d")
    browser.press(*["ArrowDown"] * 20, *["ArrowLeft"] * 3)
    browser.press("ArrowRight", "ArrowRight", "ArrowDown", holding=["Shift"])
    browser.until("return /^\\d+ × \\d+ at \\d+, \\d+$/.test(document.getElementById('said').textContent)")
    browser.press("Enter")
    page.settle()
    assert page.count(".box.region") == 1
    browser.press("z", holding=["Control"])
    page.settle()
    assert page.count(".box.region") == 0
    browser.press("y", holding=["Control"])
    page.settle()
    browser.js("document.querySelector('.box.region').focus()")
    browser.press("Delete")
    page.settle()
    assert page.count(".box.region") == 0
    browser.js("document.querySelector('.box.face').focus()")
    browser.press("Enter")
    page.settle()
    assert page.count(".box.spared") == 1
    browser.press("c")
    browser.js("document.querySelector('.divider').focus()")
    browser.press("ArrowLeft")
    assert browser.js("return document.querySelector('.divider').getAttribute('aria-valuenow')") == "48"
    browser.js("document.getElementById('stage').focus()")
    browser.press("d", "Escape")
    assert browser.js("return document.getElementById('draw').getAttribute('aria-pressed')") == "false"


def every_control_is_reached_by_tab(page):
    page.add(page.collage)
    browser = page.browser
    wanted = browser.js(
        """return [...document.querySelectorAll('button, select, summary, [tabindex="0"], input[type=file]')]
        .filter(element => element.checkVisibility() && !element.disabled).length"""
    )
    browser.js("document.activeElement.blur(); window.reached = new Set()")
    for _ in range(wanted + 40):
        browser.press("Tab")
        browser.js("reached.add(document.activeElement)")
    missed = browser.js(
        """return [...document.querySelectorAll('button, select, summary, [tabindex="0"], input[type=file]')]
        .filter(element => element.checkVisibility() && !element.disabled && !reached.has(element)).map(element => element.outerHTML.slice(0, 90))"""
    )
    assert not missed, missed


def what_cannot_be_done_is_said(page):
    (page.folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (page.folder / "large.png").write_bytes(PORTRAIT.read_bytes() + bytes(3 << 20))
    page.add(PORTRAIT, page.notes, page.folder / "phone.heic", page.folder / "large.png")
    said = page.browser.js("return [...document.querySelectorAll('.row-state')].map(state => state.textContent)")
    assert said[1].endswith(".") and "HEIC" in said[2] and "2 MB" in said[3], said
    assert page.text("#count-failed") == "3"
    page.browser.click("input[name=filter][value=failed]")
    assert page.count("#list li") == 3
    page.browser.click("#list li.failed .row")
    assert page.count("#actions [data-key=try_again]") == 0
    page.browser.cdp("Network.setBlockedURLs", {"urls": ["*/v1/blur"]})
    page.browser.cdp("Network.enable", {})
    page.browser.upload("#more-files", [page.collage])
    page.settle()
    page.browser.js("[...document.querySelectorAll('#list .row')].at(-1).click()")
    page.settle()
    assert page.text("#verdict .bad") == "The server cannot be reached."
    page.browser.cdp("Network.setBlockedURLs", {"urls": []})
    page.browser.click("#actions [data-key=try_again]")
    page.settle()
    assert page.text("#verdict .count") == "3 faces hidden"
    page.browser.complaints()


def hundreds_are_no_trouble(page):
    small = page.browser.js(
        """const canvas = document.createElement('canvas'); canvas.width = canvas.height = 64;
        return canvas.toDataURL('image/jpeg')"""
    )
    file = page.folder / "small.jpg"
    file.write_bytes(base64.b64decode(small.split(",")[1]))
    page.add(*[file] * 300)
    assert page.text("#progress-text") == "300 pictures, 0 faces hidden"
    assert page.text("#count-no_face") == "300"
    page.browser.click("#list li:nth-of-type(2) .row-remove")
    assert page.text("#count-all") == "299"
    page.browser.click("#clear")
    assert page.browser.js("return document.body.dataset.view") == "welcome"


def it_is_seen_well_at_every_size_and_by_night(page):
    browser = page.browser
    for width, height, touch in [(1440, 900, False), (390, 844, True)]:
        browser.size(width, height, touch)
        for scheme in ["light", "dark"]:
            browser.scheme(scheme)
            page.open()
            shot = lambda state: browser.shot(page.shots / f"{width}-{scheme}-{state}.png")
            page.judge("welcome")
            shot("welcome")
            page.add(page.collage, PORTRAIT, page.notes)
            if touch:
                page.judge("list")
                shot("list")
                browser.click("#list .row")
                page.settle()
            page.judge("picture")
            shot("picture")
            browser.click("#compare")
            browser.click("#face-next")
            time.sleep(0.3)
            page.judge("compare")
            shot("compare")
            browser.click("#draw")
            page.judge("draw")
            shot("draw")
    browser.complaints()


def it_speaks_the_language_of_the_browser(page):
    chinese = Browser(page.folder, "zh-CN")
    try:
        chinese.size(1440, 900)
        chinese.open(page.address + "/")
        chinese.until("return 'ready' in document.documentElement.dataset")
        assert chinese.js("return document.documentElement.lang") == "zh-CN"
        assert chinese.js("return document.querySelector('#welcome h2').innerText") == "遮盖图片中的人脸"
        chinese.upload("#files", [page.collage])
        chinese.until("return document.querySelector('#verdict .count')?.textContent === '已遮盖 3 张人脸'")
        time.sleep(0.5)
        chinese.shot(page.shots / "1440-light-chinese.png")
        chinese.js(
            "const choice = document.getElementById('language'); choice.value = 'en'; choice.dispatchEvent(new Event('change'))"
        )
        assert chinese.js("return document.querySelector('#verdict .count').textContent") == "3 faces hidden"
        assert chinese.complaints() == []
    finally:
        chinese.close()


def both_languages_say_the_same_things(page):
    missing = page.browser.js(
        """const [en, zh] = (await Promise.all(['en', 'zh'].map(name => import(`/v1/page/${name}.js`)))).map(words => words.default);
        const wanted = Object.keys(en).filter(key => !key.startsWith('problem_'));
        return wanted.filter(key => !(key in zh)).concat(Object.keys(zh).filter(key => !(key in en)))"""
    )
    assert not missing, missing


def the_reference_is_whole(page):
    browser = page.browser
    for width, height, touch in [(1440, 900, False), (390, 844, True)]:
        browser.size(width, height, touch)
        browser.open(page.address + "/docs")
        browser.until("return 'ready' in document.documentElement.dataset && document.querySelectorAll('pre').length === 3")
        page.judge("reference")
        browser.shot(page.shots / f"{width}-reference.png")
    browser.js("document.querySelectorAll('#example-blur button')[1].click()")
    browser.until("return document.querySelector('#example-blur pre').innerText.includes('urllib.request')")
    assert page.address in page.text("#example-blur pre")
    assert "/metrics" not in page.text("#contents"), "what operators ask for"
    twice = browser.js("const ids = [...document.querySelectorAll('[id]')].map(element => element.id); return ids.filter((id, at) => ids.indexOf(id) < at)")
    assert not twice, twice
    browser.open(page.address + "/v1/problems/too_many_bytes")
    page.judge("problem")


def without_scripts_it_says_what_to_do(page):
    page.browser.cdp("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.browser.open(page.address + "/")
        page.browser.shot(page.shots / "1440-light-no-script.png")
    finally:
        page.browser.cdp("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "curl" in page.browser.js("return document.querySelector('noscript').innerText")


TESTS = [
    a_picture_is_hidden_in_and_says_to_look,
    twenty_come_at_once_and_the_archive_has_them_all,
    a_missed_face_is_drawn_and_nothing_else_changes,
    a_face_is_spared_and_hidden_again,
    the_look_changes_for_all_and_for_one,
    the_keyboard_does_everything,
    every_control_is_reached_by_tab,
    what_cannot_be_done_is_said,
    hundreds_are_no_trouble,
    it_is_seen_well_at_every_size_and_by_night,
    it_speaks_the_language_of_the_browser,
    both_languages_say_the_same_things,
    the_reference_is_whole,
    without_scripts_it_says_what_to_do,
]


def main(binaries, axe, *names):
    page = Page(Path(binaries), Path(axe))
    failed = 0
    try:
        for test in TESTS:
            if names and not any(name in test.__name__ for name in names):
                continue
            page.browser.size(1440, 900)
            page.browser.scheme("light")
            page.open()
            page.browser.fetched()
            try:
                test(page)
                complaints = [line for line in page.browser.complaints() if REFUSED not in line]
                assert not complaints, complaints
                own = (page.address, "blob:", "data:")
                foreign = [address for address in page.browser.fetched() if not address.startswith(own)]
                assert not foreign, foreign
                print(f"ok      {test.__name__}", flush=True)
            except AssertionError as error:
                failed += 1
                page.browser.shot(page.shots / f"failed-{test.__name__}.png")
                place = traceback.extract_tb(error.__traceback__)[-1]
                print(f"FAILED  {test.__name__}, line {place.lineno}: {error}", flush=True)
    finally:
        page.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
