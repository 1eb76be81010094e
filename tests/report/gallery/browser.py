"""A headless Chromium driven by its DevTools protocol through two pipes: real keys, real layout, no further package."""

import itertools
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox",  # tests may run as root in a container
    "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
SECONDS = 60  # to answer a command, on a busy machine
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36}
KEYS |= {"PageDown": 34, "Escape": 27, "Tab": 9, "Enter": 13}


def find_chromium():
    """The browser on PATH, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a browser with a fresh profile; `events` holds what it reported: requests, exceptions."""

    def __init__(self, program, profile):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def connect():  # the protocol's fixed numbers: 3 to read from, 4 to write to
            ends = os.dup(theirs_in), os.dup(theirs_out)
            while min(ends) < 5:
                ends = os.dup(ends[0]), os.dup(ends[1])
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,
            close_fds=False,
            **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL),
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self.events, self._session = [], None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.send(f"{domain}.enable")

    def close(self):
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._in)
        os.close(self._out)

    def send(self, method, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        limit = time.monotonic() + SECONDS
        while True:
            reply = self._read(limit)
            if reply.get("id") == number:
                assert "error" not in reply, reply
                return reply["result"]
            self.events.append(reply)

    def _read(self, limit):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, limit - time.monotonic()))
            chunk = os.read(self._in, 2**16) if ready else b""
            assert chunk, "Chromium does not answer"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, page, state="", width=1280, height=800, scheme="light"):
        """Load a gallery's index.html with a hash, at a size in CSS pixels, and wait until it is there."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Page.navigate", url="about:blank")  # else another hash of the same page would not load it again
        self.events.clear()
        self.send("Page.navigate", url=f"{page.as_uri()}{state}")
        self.wait("document.documentElement?.dataset.ready === 'yes'")

    def run(self, script):
        """The value of an expression in the page; promises are awaited."""
        reply = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def wait(self, condition):
        limit = time.monotonic() + SECONDS
        while not self.run(condition):
            assert time.monotonic() < limit, f"never came true: {condition}"
            time.sleep(0.02)

    def press(self, key):
        """A key, as from a keyboard, and the frame after it."""
        event = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        event |= {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, **event)
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def type(self, text):
        self.send("Input.insertText", text=text)

    def state(self, name):
        """A data attribute of the root element, in which the page reports its state."""
        return self.run(f"document.documentElement.dataset.{name}")

    def problems(self):
        """Exceptions and requests that left the disk since the page was opened."""
        self.run("0")
        problems = []
        for event in self.events:
            if event.get("method") == "Runtime.exceptionThrown":
                problems.append(json.dumps(event["params"]["exceptionDetails"])[:500])
            elif event.get("method") == "Network.requestWillBeSent":
                url = event["params"]["request"]["url"]
                problems += [] if url.startswith(("file:", "data:", "blob:")) else [url]
        return problems
