"""What all viewers of a site share: made when the first of them comes, kept until the dashboard ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from eucentric_core import Settings

__all__ = ["PerSite"]

_T = TypeVar("_T")


class PerSite(Generic[_T]):
    """Called with the settings of a viewer; any thread may.

    Args:
        make: makes the thing for the first viewer.
        key: what tells sites apart; by default their home.
    """

    def __init__(
        self,
        make: Callable[[Settings], _T],
        *,
        key: Callable[[Settings], Hashable] = lambda settings: settings.home,
    ) -> None:
        self._make = make
        self._key = key
        self._lock = threading.Lock()
        self._made: dict[Hashable, _T] = {}

    def __call__(self, settings: Settings) -> _T:
        """The thing of this site, the same for all its viewers."""
        key = self._key(settings)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(settings)
            return self._made[key]
