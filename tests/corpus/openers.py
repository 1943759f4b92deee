"""Opens results with libjpeg-turbo's djpeg, with Pillow and with Chromium, none of which may have anything to say."""

import http.server
import json
import subprocess
import tempfile
import threading
import warnings
from pathlib import Path

from PIL import Image

PAGE = b"""<!doctype html><script type="module">
const names = await (await fetch("names")).json();
const complaints = [];
for (const name of names) {
  const image = new Image();
  image.src = name;
  try {
    await Promise.race([image.decode(), new Promise((_, fail) => setTimeout(() => fail(new Error("slow")), 30_000))]);
    if (!image.naturalWidth) complaints.push(`${name}: no width`);
  } catch (error) {
    complaints.push(`${name}: ${error.message}`);
  }
}
await fetch("complaints", {method: "POST", body: JSON.stringify(complaints)});
</script>"""
BROWSER_SECONDS = 600
FRAMES = (0xC0, 0xC1)


def has_eight_bits(result):
    """Whether the openers can be asked: they read no other precision. Nothing lies between a result's segments."""
    content, at = result.read_bytes(), 2
    while content[at + 1] not in FRAMES:
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content[at + 4] == 8


def complaints(results):
    by_djpeg = [f"{path.name}: djpeg: {complaint}" for path in results if (complaint := djpeg_complaint(path))]
    return by_djpeg + list(pillow_complaints(results)) + chromium_complaints(results)


def djpeg_complaint(path):
    """What libjpeg-turbo has against a file; nothing if it is sound."""
    run = subprocess.run(["djpeg", "-strict", "-outfile", "/dev/null", path], capture_output=True, text=True)
    return run.stderr.strip() or (f"exit code {run.returncode}" if run.returncode else "")


def pillow_complaints(results):
    Image.MAX_IMAGE_PIXELS = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in results:
            try:
                with Image.open(path) as picture:
                    picture.load()
            except Exception as error:  # Warnings of every kind are raised here as well.
                yield f"{path.name}: Pillow: {error!r}"


def chromium_complaints(results):
    folder = results[0].parent
    found, finished = [], threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            name = Path(self.path).name
            if name == "page":
                self.answer("text/html", PAGE)
            elif name == "names":
                self.answer("application/json", json.dumps([path.name for path in results]).encode())
            elif (folder / name).is_file():
                self.answer("image/jpeg", (folder / name).read_bytes())
            else:
                self.send_error(404)

        def do_POST(self):
            found.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer("text/plain", b"")
            finished.set()

        def answer(self, kind, body):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        browser = subprocess.Popen(
            [*command, f"http://127.0.0.1:{server.server_port}/page"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        told = finished.wait(BROWSER_SECONDS)
        browser.terminate()
        browser.wait()
        server.shutdown()
    return [f"Chromium: {complaint}" for complaint in found] if told else ["Chromium did not finish"]
