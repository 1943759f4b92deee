"""A service, a browser that shows its page, and what can be asked of both."""

import base64
import shutil
import subprocess
import tempfile
from pathlib import Path

from driver import Browser

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "tests/pictures/astronaut.png"
SETTLED = """return [...document.querySelectorAll('#list li')].every(row => /done|failed/.test(row.className))
  && document.getElementById('stage').getAttribute('aria-busy') !== 'true'"""


class Page:
    """A service, and a browser that shows its page."""

    def __init__(self, binaries, axe):
        self.folder = Path(tempfile.mkdtemp(prefix="veil-page-"))
        self.axe = axe.read_text()
        # Artefacts, to be looked at.
        self.shots = binaries.parent / "page"
        self.shots.mkdir(exist_ok=True)
        flags = ["--listen", "127.0.0.1:0", "--detail", "fast", "--allow-exclude", "--max-bytes", "2MiB", "--heic-decoder", "off",
                 "--die-with-parent"]
        self.service = subprocess.Popen(
            [binaries / "blur-service", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.address = self.service.stdout.readline().split()[-1]
        self.browser = Browser(self.folder)
        self.browser.size(1440, 900)
        self.open()
        self.collage = self.make_collage()
        self.notes = self.folder / "notes.jpg"
        self.notes.write_text("no picture")

    def close(self):
        self.browser.close()
        self.service.terminate()
        self.service.wait()
        shutil.rmtree(self.folder)

    def open(self):
        self.browser.open(self.address + "/")
        self.browser.until("return 'ready' in document.documentElement.dataset")

    def make_collage(self):
        """A portrait three times, at three sizes, beside an empty place."""
        portrait = base64.b64encode(PORTRAIT.read_bytes()).decode()
        made = self.browser.js(
            """const image = new Image(); image.src = 'data:image/png;base64,' + arguments[0]; await image.decode();
            const canvas = document.createElement('canvas'); canvas.width = 1200; canvas.height = 640;
            const context = canvas.getContext('2d'); context.fillStyle = '#789'; context.fillRect(0, 0, 1200, 640);
            for (const [x, side] of [[0, 512], [520, 320], [850, 320]]) context.drawImage(image, x, 0, side, side);
            return canvas.toDataURL('image/png')""",
            portrait,
        )
        file = self.folder / "collage.png"
        file.write_bytes(base64.b64decode(made.split(",")[1]))
        return file

    def add(self, *files):
        shown = self.browser.js("return document.body.dataset.view") != "welcome"
        self.browser.upload("#more-files" if shown else "#files", files)
        self.settle()

    def settle(self):
        self.browser.until(SETTLED)

    def text(self, selector):
        return self.browser.js("return document.querySelector(arguments[0]).innerText", selector)

    def count(self, selector):
        return self.browser.js(
            "return [...document.querySelectorAll(arguments[0])].filter(element => element.checkVisibility()).length", selector
        )

    def keep_pixels(self, name):
        """Remembers the result that is shown."""
        self.browser.js(
            """const image = document.querySelector('#stage .after'); await image.decode();
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            canvas.getContext('2d').drawImage(image, 0, 0);
            (window.kept ??= {})[arguments[0]] = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)""",
            name,
        )

    def difference(self, one, other):
        """The box of all pixels that differ: left, top, right, bottom."""
        return self.browser.js(
            """const [a, b] = [kept[arguments[0]], kept[arguments[1]]]; let box = null;
            for (let at = 0; at < a.data.length; at += 4) {
              if (a.data[at] === b.data[at] && a.data[at + 1] === b.data[at + 1] && a.data[at + 2] === b.data[at + 2]) continue;
              const x = at / 4 % a.width, y = Math.floor(at / 4 / a.width);
              box ??= [x, y, x, y];
              box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
            }
            return box""",
            one,
            other,
        )

    def on_screen(self, x, y):
        """Where a pixel of the collage is on the page."""
        left, top, scale = self.browser.js(
            """const box = document.querySelector('#stage .sheet').getBoundingClientRect();
            return [box.left, box.top, box.width / document.querySelector('#stage .after').naturalWidth]"""
        )
        return left + x * scale, top + y * scale

    def judge(self, state):
        """Nothing that axe calls a violation, and no finger too thick."""
        found = self.browser.js(
            self.axe + ";return (await axe.run(document, {resultTypes: ['violations']})).violations"
            ".map(found => found.id + ': ' + found.nodes.map(node => node.html.slice(0, 120)).join(' | '))"
        )
        assert not found, f"{state}: {found}"
        small = self.browser.js(
            """return [...document.querySelectorAll('button, select, summary, .button, .chip, .card, .filter, .drop')]
            .filter(element => element.checkVisibility() && !element.closest('.boxes'))
            .filter(element => { const {width, height} = element.getBoundingClientRect(); return width < 43.9 || height < 43.9; })
            .map(element => element.outerHTML.slice(0, 80))"""
        )
        assert not small, f"{state}: {small}"
        wide = self.browser.js("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{state}: {wide} px wider than the window"
