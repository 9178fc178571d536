"""Addresses of far ends at Globus: a collection, and a folder within it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from eucentric_core import ConfigurationError

from .._names import checked_name

__all__ = ["GlobusAddress", "staged_name"]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def staged_name(name: str) -> str:
    """The name under which a file travels. A fixed one: what a killed transfer left is overwritten."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}.{last}.part"


@dataclass(frozen=True, slots=True)
class GlobusAddress:
    """`globus://COLLECTION/base/path`.

    Args:
        collection: id of the far end's collection.
        base: absolute path of the folder within it; `/~/...` begins at the account's home there.
    """

    collection: str
    base: str

    @classmethod
    def parse(cls, url: str) -> GlobusAddress:
        """Read an address.

        Raises:
            ConfigurationError: no id of a collection, or a path that could mean another folder.
        """
        parts = urlsplit(url)
        base = unquote(parts.path).rstrip("/") or "/"
        collection = parts.netloc.lower()
        steps = base.split("/")[1:]
        plain = base == "/" or all(step not in ("", ".", "..") and step.isprintable() for step in steps)
        if parts.scheme != "globus" or _UUID.fullmatch(collection) is None or not plain:
            raise ConfigurationError(
                f"{url[:200]!r} is no address of a Globus collection.",
                safe="nothing was opened.",
                next_step="write globus://COLLECTION-UUID/folder/in/it; the id is on the collection's page.",
            )
        return cls(collection, base)

    def path(self, name: str, *, staged: bool = False) -> str:
        """Where a name lies within the collection.

        Raises:
            DataFormatError: the name is not plain (`checked_name`).
        """
        checked_name(name)
        return f"{self.base.rstrip('/')}/{staged_name(name) if staged else name}"

    def __str__(self) -> str:
        return f"globus://{self.collection}{self.base}"
