"""Where releases are read from. Nothing that comes from there is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

__all__ = ["ReleaseSource"]


class ReleaseSource(Protocol):
    """A place with the files of the releases. Every mover of `eucentric_transfer` is one.

    Names are plain and relative, such as `metadata/timestamp.json`.
    """

    def read_many(self, names: Sequence[str], *, max_bytes: int) -> Mapping[str, bytes | None]:
        """Small documents by name; None for one that is not there.

        Raises:
            EucentricError: the place does not answer, or one is longer than `max_bytes`.
        """
        ...

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> object:
        """Fetch a file into a local one, which appears whole or not at all.

        Raises:
            EucentricError: it is not there, did not arrive, or is not what `sha256` says.
        """
        ...
