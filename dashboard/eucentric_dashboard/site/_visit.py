"""Who looks at a page, and at which instrument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eucentric_core import Settings

from .._hub import LiveHub
from .._person import Person

__all__ = ["Person", "Visit"]


@dataclass(frozen=True, slots=True)
class Visit:
    """One opened page: what its builder gets.

    Args:
        hub: follows the chosen instrument.
        settings: of this machine, with agent and edge of the chosen instrument.
        person: who opened the page.
        instruments: names of all that this dashboard shows.
        logs_in: whether people log in here.
        still_in: whether the login still lasts; asking does not make it last longer.
        ask_person: asks who it is now. An account may be removed, or a session end, while a page is open.
    """

    hub: LiveHub
    settings: Settings
    person: Person
    instruments: tuple[str, ...] = ()
    logs_in: bool = False
    still_in: Callable[[], bool] = lambda: True
    ask_person: Callable[[], Person] | None = None

    def person_now(self) -> Person:
        """Who it is now.

        Raises:
            NotAuthorisedError: the session has ended, or the account is gone.
        """
        return self.person if self.ask_person is None else self.ask_person()
