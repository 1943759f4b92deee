"""A browser, driven by W3C WebDriver through Debian's chromedriver; nothing but the standard library."""

import atexit
import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Space": " ", "ArrowLeft": "\ue012", "ArrowUp": "\ue013",
    "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Delete": "\ue017", "Shift": "\ue008", "Control": "\ue009",
}
PATIENCE = 60


class Browser:
    """One headless Chromium, of a language, with what it fetched and what its console said."""

    def __init__(self, folder, language="en-US"):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = next(found[1] for line in self.driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        self.root = f"http://127.0.0.1:{port}"
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--accept-lang={language}"],
            "prefs": {"download.default_directory": str(folder), "intl.accept_languages": language},
        }
        wanted = {
            "browserName": "chrome", "goog:chromeOptions": options, "unhandledPromptBehavior": "accept",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.root += f"/session/{session['sessionId']}"
        # Also where a test ends before its time: a browser outlives its driver.
        atexit.register(self.close)

    def close(self):
        atexit.unregister(self.close)
        try:
            self._call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def open(self, address):
        self._call("POST", "/url", {"url": address})

    def size(self, width, height, touch=False):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.cdp("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", {"features": features})

    def cdp(self, command, parameters):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def js(self, script, *values):
        """What `script`, a function's body, returns; a promise is waited for."""
        body = {"script": f"return (async () => {{ {script} }})()", "args": list(values)}
        return self._call("POST", "/execute/sync", body)

    def until(self, script, *values, seconds=PATIENCE):
        """Waits for something that holds, and returns it."""
        end = time.monotonic() + seconds
        while not (value := self.js(script, *values)):
            if time.monotonic() > end:
                raise AssertionError(f"never came to be: {script}")
            time.sleep(0.05)
        return value

    def find(self, selector):
        return self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self._call("POST", f"/element/{self.find(selector)}/click", {})

    def upload(self, selector, files):
        text = "\n".join(str(file) for file in files)
        self._call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys, holding=()):
        """Real key strokes, to whatever has the focus."""
        strokes = []
        held = [KEYS[key] for key in holding]
        strokes += [{"type": "keyDown", "value": key} for key in held]
        for key in keys:
            value = KEYS.get(key, key)
            strokes += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        strokes += [{"type": "keyUp", "value": key} for key in reversed(held)]
        self._act({"type": "key", "id": "keyboard", "actions": strokes})

    def drag(self, start, end):
        """Places on the page, in its pixels."""
        place = lambda at: {"type": "pointerMove", "duration": 30, "x": round(at[0]), "y": round(at[1])}
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        steps = [place(start), {"type": "pointerDown", "button": 0}, place(middle), place(end), {"type": "pointerUp", "button": 0}]
        self._act({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps})

    def _act(self, source):
        self._call("POST", "/actions", {"actions": [source]})
        self._call("DELETE", "/actions")

    def shot(self, file):
        file.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def complaints(self):
        """What the console said since the last time, as errors or warnings."""
        lines = self._call("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING")]

    def fetched(self):
        """The addresses that were asked since the last time."""
        lines = self._call("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(line["message"])["message"] for line in lines]
        sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"].split("\nStacktrace")[0]) from None
