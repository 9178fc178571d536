"""What is open to the other end of one connection."""

from __future__ import annotations

from .._errors import NotAuthorisedError
from ..security import Trust
from ._protocols import Methods

__all__ = ["Desk"]


class Desk:
    """A caller's table of methods, as long as the caller is trusted.

    Args:
        methods: the table.
        trust: the caller's certificate, if there is one.
    """

    def __init__(self, methods: Methods, trust: Trust | None) -> None:
        self._methods = methods
        self._trust = trust
        self.open = True

    def methods(self) -> Methods:
        """The table to answer one request from.

        Raises:
            NotAuthorisedError: the caller is no longer trusted. The connection ends with this answer.
        """
        if self._trust is not None:
            try:
                self._trust.require()
            except NotAuthorisedError:
                self.open = False
                raise
        return self._methods
