"""What viewers show of a file: its pixels as Chromium and as Pillow have them, upright, in sRGB, on white; of an animation
all frames, one below the other."""

import http.server
import io
import json
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

PAGE = b"""<!doctype html><script type="module">
async function persistently(address, options) {
  for (let tries = 0; ; tries++) {
    try {
      return await fetch(address, options);
    } catch (error) {
      if (tries === 20) throw error;
      await new Promise(done => setTimeout(done, 100));
    }
  }
}
async function pictures(blob) {
  const animation = ["image/gif", "image/png", "image/webp"].includes(blob.type) && "ImageDecoder" in window
    && new ImageDecoder({data: await blob.arrayBuffer(), type: blob.type, preferAnimation: true});
  if (animation) await Promise.all([animation.tracks.ready, animation.completed]).catch(() => {});
  const count = animation && animation.tracks.selectedTrack?.frameCount || 1;
  if (count === 1) {
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    await image.decode();
    return [[image, image.naturalWidth, image.naturalHeight]];
  }
  const frames = [];
  for (let index = 0; index < count; index++) {
    const {image} = await animation.decode({frameIndex: index});
    frames.push([image, image.displayWidth, image.displayHeight]);
  }
  return frames;
}
function within(seconds, work) {
  return Promise.race([work, new Promise((_, fail) => setTimeout(() => fail(new Error("slow")), 1000 * seconds))]);
}
const names = await (await persistently("names")).json();
for (const name of names) {
  let body = new Uint8Array(0), size = [0, 0];
  try {
    const blob = await (await persistently("file/" + name)).blob();
    const frames = await within(30, pictures(blob));
    const [, width, height] = frames[0];
    size = [width, height * frames.length];
    const canvas = new OffscreenCanvas(...size);
    const context = canvas.getContext("2d", {colorSpace: "srgb"});
    context.fillStyle = "white";
    context.fillRect(0, 0, ...size);
    frames.forEach(([image], index) => context.drawImage(image, 0, height * index));
    body = context.getImageData(0, 0, ...size).data;
  } catch {}
  await persistently(`shown/${name}?width=${size[0]}&height=${size[1]}`, {method: "POST", body});
}
await persistently("finished", {method: "POST"});
</script>"""
TYPES = {
    ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif", ".bmp": "image/bmp",
    ".avif": "image/avif", ".tif": "image/tiff",
}
BROWSER_SECONDS = 600


def in_chromium(folder, names):
    """By name, an RGB picture; nothing for what the browser does not open."""
    shown, finished = {}, threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        # One connection for all: thousands of new ones one after the other are refused now and then.
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            name = Path(urllib.parse.urlparse(self.path).path).name
            if name == "page":
                self.answer("text/html", PAGE)
            elif name == "names":
                self.answer("application/json", json.dumps(names).encode())
            elif name in names:
                self.answer(TYPES[Path(name).suffix], (folder / name).read_bytes())
            else:
                self.send_error(404)

        def do_POST(self):
            address = urllib.parse.urlparse(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if address.path == "/finished":
                finished.set()
            elif body:
                sides = urllib.parse.parse_qs(address.query)
                size = int(sides["width"][0]), int(sides["height"][0])
                shown[Path(address.path).name] = Image.frombytes("RGBA", size, body).convert("RGB")
            self.answer("text/plain", b"")

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
        command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
        page = f"http://127.0.0.1:{server.server_port}/page"
        browser = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        told = finished.wait(BROWSER_SECONDS)
        browser.terminate()
        browser.wait()
        server.shutdown()
    if not told:
        raise TimeoutError("Chromium did not finish")
    return shown


def in_pillow(path):
    """An RGB picture, or nothing if Pillow does not open the file."""
    try:
        with Image.open(path) as picture:
            picture.load()
            profile = picture.info.get("icc_profile")
            upright = ImageOps.exif_transpose(picture)
            return on_white(in_srgb(upright, profile))
    except Exception:  # Whatever a broken file makes Pillow raise.
        return None


def in_srgb(picture, profile):
    if picture.mode.startswith("I"):
        picture = picture.point(lambda level: level / 256).convert("L")
    if picture.mode in ("1", "P"):
        picture = picture.convert("RGBA")
    if not profile:
        return picture
    alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    base = picture.convert(picture.mode.rstrip("A")) if alpha else picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        shown = ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return picture
    if alpha:
        shown.putalpha(alpha)
    return shown


def on_white(picture):
    picture = picture.convert("RGBA") if picture.mode in ("RGBA", "LA", "PA") else picture.convert("RGB")
    if picture.mode == "RGB":
        return picture
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    return ground.convert("RGB")
