"""The control channel of an edge, over real Pyro, that says what a test wants it to say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import JsonValue

from eucentric_core import BundleError
from eucentric_core.transport import PyroControlServer

__all__ = ["EdgeDoor", "serving_door"]


@dataclass
class EdgeDoor:
    """What answers where a site's edge would.

    Args:
        port: where it listens.
        serves: version that it says it serves.
        refuses: why it refuses whatever it is given; None: it does not.
        serves_after: version that it serves once it was told of one; None: as before.
        goes_by: `releases` or `keys`.
        previous: version that it says it can go back to.
        asked: methods that were called, in order.
    """

    port: int
    serves: int | None = None
    refuses: str | None = None
    serves_after: int | None = None
    goes_by: str = "releases"
    previous: int | None = None
    asked: list[str] = field(default_factory=list)

    def look(self, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Answers `look`."""
        return self._told("look")

    def install(self, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Answers `install`."""
        return self._told("install")

    def rollback(self, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Answers `rollback`."""
        self.asked.append(f"rollback: {payload['reason']}")
        before, self.serves, self.previous = self.serves, self.previous, None
        return {"version": self.serves, "previous_version": before}

    def _told(self, method: str) -> dict[str, JsonValue]:
        self.asked.append(method)
        if self.refuses is not None:
            raise BundleError(self.refuses, safe="the old one keeps serving.", next_step="look at it.")
        self.serves = self.serves if self.serves_after is None else self.serves_after
        return {"model_version": self.serves}

    def status(self, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Answers `status`."""
        self.asked.append("status")
        return {
            "model_version": self.serves,
            "previous_version": self.previous,
            "releases": {"goes_by": self.goes_by},
        }


@contextmanager
def serving_door(port: int) -> Iterator[EdgeDoor]:
    """Serve the door on a port of this machine."""
    door = EdgeDoor(port)
    server = PyroControlServer(
        {"look": door.look, "install": door.install, "status": door.status, "rollback": door.rollback},
        host="127.0.0.1",
        port=port,
    )
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.stop()
        thread.join(timeout=10)
