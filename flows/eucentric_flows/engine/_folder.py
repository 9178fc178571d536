"""The policies of a hub as its folder has them, read again when a file changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ..policy import Policy, PolicyError, decided_here, load_policies

__all__ = ["PolicyFolder"]

_log = logging.getLogger(__name__)

_Fingerprint = tuple[tuple[str, int, int], ...]


class PolicyFolder:
    """Policies that hold now. A file that turns bad changes nothing until it is mended; the log says so.

    Attributes:
        policies: all of them.
        decided_here: those that are the engine's.

    Args:
        folder: of the policy files.
        on_change: told the policies whenever they are others than before.

    Raises:
        PolicyError: a file is bad already at the start.
    """

    def __init__(self, folder: Path, *, on_change: Callable[[tuple[Policy, ...]], None]) -> None:
        self._folder = folder
        self._on_change = on_change
        self._seen = self._fingerprint()
        self._take(load_policies(folder))

    def refresh(self) -> None:
        """Read the files again, if one has changed."""
        now = self._fingerprint()
        if now == self._seen:
            return
        self._seen = now
        try:
            policies = load_policies(self._folder)
        except PolicyError as error:
            _log.error("the policies stay as they were: %s", error)
            return
        if policies != self.policies:
            self._take(policies)
            _log.info("policies: %s", ", ".join(policy.name for policy in policies) or "none")
            self._on_change(policies)

    def _take(self, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self.decided_here = decided_here(policies)

    def _fingerprint(self) -> _Fingerprint:
        found = []
        for path in sorted(self._folder.glob("*.toml")):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            found.append((path.name, facts.st_mtime_ns, facts.st_size))
        return tuple(found)
