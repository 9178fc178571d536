"""Champions are moved one at a time on a hub, and by people who saw what they are moving away from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from eucentric_core import Settings

from ._errors import ChampionMovedError, RegistryError
from ._registry import Registry

__all__ = ["Seen", "one_move_at_a_time", "require_unchanged"]

_LOCK_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody looked at who decides about a promotion.

    Attributes:
        champion: version that was champion; None if none was.
        moves: how many lines the history had. Who went there and back meanwhile is noticed by it.
    """

    champion: int | None
    moves: int

    @classmethod
    def now(cls, registry: Registry, name: str) -> Self:
        """As it is at present.

        Raises:
            RegistryUnavailableError: MLflow does not answer.
        """
        champion = registry.champion(name)
        return cls(None if champion is None else champion.version, len(registry.history(name)))


@contextmanager
def one_move_at_a_time(settings: Settings) -> Iterator[None]:
    """Hold every other promotion of this hub, of whatever process, until this one is in the catalogue.

    Raises:
        RegistryError: another one has been under way for a minute.
    """
    from filelock import FileLock, Timeout

    folder = settings.home / "registry"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "moving.lock", timeout=_LOCK_TIMEOUT_S):
            yield
    except Timeout as error:
        raise RegistryError(
            f"Another promotion on this hub has been under way for {_LOCK_TIMEOUT_S:g} s.",
            safe="nothing was changed.",
            next_step="see `eucentric models history` for what it did, then repeat the command.",
        ) from error


def require_unchanged(registry: Registry, name: str, seen: Seen) -> None:
    """Let a decision pass that was made on what still holds. MLflow compares nothing: hold the lock.

    Raises:
        ChampionMovedError: somebody else was faster.
    """
    if Seen.now(registry, name) == seen:
        return
    history = registry.history(name)
    last = history[-1] if history else None
    what = (
        f"The champion of {name} is not the one that you saw."
        if last is None
        else f"While you decided, {last.who} made version {last.version} of {name} the champion "
        f"({last.promoted_utc:%Y-%m-%d %H:%M:%S} UTC: {last.reason})."
    )
    raise ChampionMovedError(
        what,
        safe="your promotion was not carried out; what they chose holds.",
        next_step="look at it, and decide again if you still want yours.",
        champion=None if last is None else last.version,
    )
