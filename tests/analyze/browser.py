"""A small WebDriver client over the standard library: headless Chromium by chromedriver."""
import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request


def available():
    return shutil.which("chromedriver") is not None and (shutil.which("chromium") or shutil.which("google-chrome")) is not None


class Browser:
    def __init__(self, width, height, dark=False):
        self.profile = tempfile.TemporaryDirectory()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        while self.driver.poll() is None:
            try:
                if self.call("GET", "/status")["ready"]:
                    break
            except OSError:
                time.sleep(0.2)
        options = {"binary": shutil.which("chromium") or shutil.which("google-chrome"),
                   "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                            f"--window-size={max(width, 500)},{height}", f"--user-data-dir={self.profile.name}"] + (["--force-dark-mode"] if dark else [])}
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        self.session = self.call("POST", "/session", {"capabilities": capabilities})["sessionId"]
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        if dark:
            self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.here("DELETE", "")
        except OSError:
            pass
        self.driver.terminate()
        self.driver.wait()
        try:
            self.profile.cleanup()
        except OSError:
            pass

    def call(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=14400) as answer:
            return json.loads(answer.read())["value"]

    def here(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def open(self, path):
        self.here("POST", "/url", {"url": f"file://{path}"})

    def script(self, text, *arguments):
        return self.here("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def devtools(self, command, **parameters):
        return self.here("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def console(self):
        return self.here("POST", "/se/log", {"type": "browser"})

    def pointer(self, *steps):
        """Steps (kind, x, y): kind is move, down or up."""
        actions = []
        for kind, x, y in steps:
            if kind == "move":
                actions.append({"type": "pointerMove", "duration": 30, "x": int(x), "y": int(y)})
            else:
                actions.append({"type": "pointerDown" if kind == "down" else "pointerUp", "button": 0})
        self.here("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def screenshot(self, path, whole=True):
        if whole:
            height = self.script("return document.documentElement.scrollHeight")
            width = self.script("return window.innerWidth")
            shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})["data"]
        else:
            shot = self.here("GET", "/screenshot")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot))
