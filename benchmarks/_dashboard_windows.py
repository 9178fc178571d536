"""Windows of a real Chromium without a test tool in them, for what such a tool would slow down.

Playwright has every websocket message of a page sent to itself as text, which takes more processor time than
to draw the frame in it. These windows are only opened, and asked for a value of their page, over Chromium's
own protocol (https://chromedevtools.github.io/devtools-protocol/).

    with Windows(chromium) as windows:
        window = windows.open("http://127.0.0.1:8080/")
        windows.evaluate(window, "document.title")
"""

from __future__ import annotations

import itertools
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

__all__ = ["Windows"]

_START_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 60.0
_LOOK_S = 0.02
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
    # Each window is another person's, who looks at it: none of them lies behind the others.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
)


class Windows:
    """A browser whose windows share nothing: each is of a profile of its own.

    Args:
        chromium: path of the program.
        width_px: of each window.
        height_px: of each window.
    """

    def __init__(self, chromium: str, *, width_px: int = 1440, height_px: int = 900) -> None:
        self._command = [chromium, *_FLAGS]
        self._size = {"width": width_px, "height": height_px}
        self._numbers = itertools.count(1)
        self._profiles: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the browser.

        Raises:
            RuntimeError: it did not start.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="eucentric-", ignore_cleanup_errors=True)
        profile = Path(self._folder.name)
        self._process = subprocess.Popen(
            [*self._command, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        address = self._address(profile / "DevToolsActivePort")
        self._socket: ClientConnection = connect(address, max_size=None, open_timeout=_START_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        """End the browser."""
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def open(self, url: str) -> str:
        """Open a page in a window and a profile of its own, and return the window's name."""
        window = self.blank()
        self.call("Page.navigate", {"url": url}, window)
        return window

    def blank(self) -> str:
        """Open an empty window in a profile of its own, and return its name."""
        profile = self.call("Target.createBrowserContext")["browserContextId"]
        asked = {"url": "about:blank", "browserContextId": profile, "newWindow": True, **self._size}
        target = self.call("Target.createTarget", asked)["targetId"]
        window = str(self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
        self._profiles[window] = profile
        return window

    def close(self, window: str) -> None:
        """Close a window and forget its profile."""
        self.call("Target.disposeBrowserContext", {"browserContextId": self._profiles.pop(window)})

    def evaluate(self, window: str, expression: str) -> Any:
        """The value of a JavaScript expression in a page; None before the page has begun to load."""
        asked = {"expression": expression, "returnByValue": True}
        answer = self._answer("Runtime.evaluate", asked, window)
        if "error" in answer and "execution context" in answer["error"]["message"]:
            return None
        return _result(answer)["result"].get("value")

    def wait_for(self, window: str, condition: str, *, timeout_s: float = _ANSWER_TIMEOUT_S) -> None:
        """Wait until a JavaScript expression holds in a page.

        Raises:
            RuntimeError: it did not within `timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self.evaluate(window, f"Boolean({condition})"):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"after {timeout_s:g} s it does not hold: {condition}")
            time.sleep(_LOOK_S)

    def call(self, method: str, parameters: dict[str, Any] | None = None, window: str | None = None) -> Any:
        """Ask the browser, or one of its windows; events that come meanwhile are passed over."""
        return _result(self._answer(method, parameters or {}, window))

    def _answer(self, method: str, parameters: dict[str, Any], window: str | None) -> dict[str, Any]:
        number = next(self._numbers)
        asked: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if window is not None:
            asked["sessionId"] = window
        self._socket.send(json.dumps(asked))
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv(timeout=_ANSWER_TIMEOUT_S))
            if answer.get("id") == number:
                return answer

    def _address(self, told: Path) -> str:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            lines = told.read_text().splitlines() if told.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(_LOOK_S)
        self._process.kill()
        raise RuntimeError("Chromium did not start")


def _result(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise RuntimeError(f"Chromium refused: {answer['error']}")
    return answer["result"]
