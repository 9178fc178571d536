"""Blanking that is verified, and that wins against an unblanking under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from eucentric_core import CommandRefusedError

from ._errors import VendorCallError
from ._parts import BeamPart

__all__ = ["Blanker"]

S = TypeVar("S")
_Call = Callable[[Callable[[S], Any]], Any]


class Blanker(Generic[S]):
    """Switches the beam. `blank` may be called from any thread at any time.

    Args:
        part: the vendor's blanker.
        call: runs a vendor call on the command lane.
        urgent: runs one on the urgent lane.
    """

    def __init__(self, part: BeamPart[S], *, call: _Call[S], urgent: _Call[S]) -> None:
        self._part = part
        self._call = call
        self._urgent = urgent
        self._lock = threading.Lock()
        self._blanks = 0
        self._let_through = False

    def blank(self) -> None:
        """Blank the beam and read back that it is.

        Raises:
            VendorCallError: it is not blanked, or the vendor did not answer in time.
        """
        with self._lock:
            self._blanks += 1
            self._let_through = False
        self._urgent(lambda scope: self._switch(scope, blank=True))

    def unblank(self) -> None:
        """Let the beam through and read back that it is.

        Raises:
            CommandRefusedError: somebody blanked it meanwhile; it is blanked.
            VendorCallError: it is not unblanked, or the vendor did not answer in time.
        """
        with self._lock:
            before = self._blanks
            self._let_through = True
        self._call(lambda scope: self._switch(scope, blank=False))
        with self._lock:
            overtaken = self._blanks != before
        if overtaken:
            # The blank may have reached the vendor first, and it is the one that counts.
            self.blank()
            raise CommandRefusedError(
                "The beam was blanked while it was being unblanked.",
                safe="it is blanked.",
                next_step="unblank again if that is wanted.",
            )

    def is_blanked(self, scope: S) -> bool:
        """Whether the beam is blanked, read on the caller's lane."""
        return self._part.blanked(scope)

    def require_still_blanked(self, scope: S) -> None:
        """After a vendor function that began with a blanked beam: it must not have unblanked by itself.

        Raises:
            VendorCallError: it has, and nobody else unblanked; the beam is blanked again.
        """
        with self._lock:
            allowed = self._let_through
        if allowed or self._part.blanked(scope):
            return
        self._switch(scope, blank=True)
        raise VendorCallError(
            "The vendor's own function let the beam through, although it was blanked.",
            safe="the beam is blanked again.",
            next_step="unblank it first (beam.unblank), so that its time limit holds.",
        )

    def _switch(self, scope: S, *, blank: bool) -> None:
        self._part.blank(scope, blank)
        if self._part.blanked(scope) != blank:
            raise VendorCallError(
                f"The instrument was told to {'blank' if blank else 'unblank'} the beam and did not.",
                safe="the beam is as it was; close the column valve if it is on.",
                next_step="look at the blanker in the vendor's own software.",
            )
