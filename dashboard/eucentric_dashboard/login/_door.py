"""From a request to the person who sends it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import HTTPConnection

from eucentric_core import NotAuthorisedError, Settings

from .._person import Person
from ._people import People

__all__ = ["Door"]


class Door:
    """Knows whose a request is.

    Args:
        settings: of the dashboard.
        people: accounts and sessions; None where `dashboard.login` is `none`.
    """

    def __init__(self, settings: Settings, people: People | None) -> None:
        dashboard = settings.dashboard
        self._people = people
        self._anonymous = Person("anonymous", dashboard.open_role)
        self.secure = dashboard.certificate is not None or (dashboard.public_url or "").startswith("https:")
        # Browsers do not keep cookies of several ports apart, hence the port in the name; with the prefix
        # they take the cookie from this very host over TLS only.
        self.cookie = f"{'__Host-' if self.secure else ''}eucentric-{dashboard.port}"

    @property
    def open(self) -> bool:
        """Whether nobody logs in here."""
        return self._people is None

    def find(self, connection: HTTPConnection, *, used: bool = False) -> Person | None:
        """Who sends this; None if nobody is logged in."""
        return self._find(connection.cookies.get(self.cookie, ""), used=used)

    def asker(self, connection: HTTPConnection) -> Callable[[], Person]:
        """What tells whose this is at any later time, and that they did something.

        What it returns raises `NotAuthorisedError` once the session has ended.
        """
        token = connection.cookies.get(self.cookie, "")

        def ask() -> Person:
            person = self._find(token, used=True)
            if person is None:
                raise NotAuthorisedError(
                    "Your login has ended.",
                    safe="nothing was changed; Safe stop still works from this page.",
                    next_step="log in again.",
                )
            return person

        return ask

    def watcher(self, connection: HTTPConnection) -> Callable[[], bool]:
        """What tells at any later time whether the session still lasts, without making it last longer."""
        token = connection.cookies.get(self.cookie, "")
        return lambda: self._find(token, used=False) is not None

    def _find(self, token: str, *, used: bool) -> Person | None:
        if self._people is None:
            return self._anonymous
        return self._people.sessions.find(token, used=used) if token else None
