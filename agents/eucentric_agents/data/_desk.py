"""What the agent may ask its data process, over a small door on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from eucentric_core.transport import Method, PyroControlServer

__all__ = ["DOOR_VARIABLE", "DataDesk"]

DOOR_VARIABLE = "EUCENTRIC_DATA_TOKEN"
"""Environment variable that hands the token to the data process; nobody else can read it there."""


class DataDesk:
    """Methods by name. Register them before the door is opened: `desk.register("shipper.status", method)`."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def register(self, name: str, method: Method) -> None:
        """Answer `name` by `method`: plain JSON in, plain JSON out; it may raise `EucentricError`.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._methods:
            raise ValueError(f"{name} is registered already")
        self._methods[name] = method

    @property
    def methods(self) -> Mapping[str, Method]:
        """All of them."""
        return dict(self._methods)

    @contextmanager
    def open_door(self, token: str) -> Iterator[int]:
        """Answer on loopback whoever presents the token; gives the port."""
        door = PyroControlServer(self.methods, host="127.0.0.1", port=0, token=token)
        serving = threading.Thread(target=door.serve, name="door", daemon=True)
        with ExitStack() as started:
            serving.start()
            started.callback(serving.join, timeout=3)
            started.callback(door.stop)
            yield door.address[1]
