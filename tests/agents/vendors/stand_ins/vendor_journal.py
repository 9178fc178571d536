"""What the stand-ins of vendors' packages share: a journal of every call, and one thread for each object."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of a vendor's interface, with the unit in which the vendor publishes its arguments."""

    name: str
    arguments: tuple[Any, ...]
    unit: str


CALLS: list[Call] = []


def record(name: str, *arguments: Any, unit: str = "") -> None:
    """Write a call down."""
    CALLS.append(Call(name, arguments, unit))


def named(name: str) -> list[Call]:
    """The calls of one name."""
    return [call for call in CALLS if call.name == name]


class OneThread:
    """A vendor's object that answers only the thread that made it."""

    def __init__(self) -> None:
        self._maker = threading.get_ident()

    def _check_thread(self) -> None:
        if threading.get_ident() != self._maker:
            raise RuntimeError(f"{type(self).__name__} was made on another thread")
