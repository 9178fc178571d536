"""What tells a repository's root from an empty folder where it should be mounted.

A root carries a marker with a random id; the home of a service remembers which it served, and a catalogue
that lies elsewhere which it is of. A root without its marker is then no new repository but one that is not
mounted, and its receipts would cost the only copies.
"""

from __future__ import annotations

import errno
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from eucentric_core import (
    ConfigurationError,
    FrozenModel,
    ServiceUnavailableError,
    UtcDatetime,
    utc_now,
    write_atomic,
)

from ._folders import RepositoryFolders
from ._root_lock import root_lock

__all__ = ["CataloguedRoot", "claim_root", "require_root"]

_SERVED = "repository-served.json"
_MAX_BYTES = 1 << 20
_LOCK_TIMEOUT_S = 30.0
_LOCK_POLL_S = 0.05

_RepositoryId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Marker(FrozenModel):
    repository_id: _RepositoryId
    made_utc: UtcDatetime


class _Served(FrozenModel):
    """The id of each root that was served from a home."""

    roots: dict[str, _RepositoryId] = {}


@dataclass(frozen=True, slots=True)
class CataloguedRoot:
    """What a catalogue outside the root knows of it.

    Args:
        repository_id: of the root; None where no service of this version has used it yet.
        holds_shards: whether a shard was ever registered.
    """

    repository_id: str | None
    holds_shards: bool


def claim_root(
    root: Path, home: Path, *, is_default: bool, new_root: bool, catalogued: CataloguedRoot | None = None
) -> str:
    """Make sure that a root is the one it was, or make it if it is new, and remember it.

    Args:
        root: the repository's root.
        home: of the service; remembers which root had which id.
        is_default: nobody named the root; it may be made with all folders above it.
        new_root: an operator says that a new root is meant, whatever is remembered.
        catalogued: what the catalogue knows, if it does not lie in the root.

    Returns:
        The id of the repository in this root.

    Raises:
        ConfigurationError: the root is not the one that was served here, or must not be made.
        ServiceUnavailableError: another service holds the root without marking it.
        OSError: the root or the home cannot be read or written.
    """
    served = _served(home)
    remembered = served.roots.get(str(root))
    if not new_root:
        if catalogued is not None:
            _require_catalogued(root, catalogued)
        if remembered is not None:
            _require_same(root, remembered)
        elif not root.parent.is_dir() and not is_default:
            raise _refuse(f"The repository's root {root} is not there, nor is the folder it would be in.")
    RepositoryFolders(root).make()
    found = _marked(root)
    if found != remembered:
        home.mkdir(parents=True, exist_ok=True)
        remembering = _Served(roots={**served.roots, str(root): found})
        write_atomic(home / _SERVED, remembering.model_dump_json(indent=2).encode())
    return found


def require_root(root: Path, repository_id: str | None = None) -> None:
    """Let a root pass that is there.

    Args:
        root: the repository's root.
        repository_id: of the repository it must be; None for any.

    Raises:
        ServiceUnavailableError: it is not; most likely it is not mounted.
    """
    try:
        found = _read_marker(root)
        # A root that no service of this version has served yet has its folders and no marker.
        here = found == repository_id if repository_id else bool(found) or (root / "shards").is_dir()
        why = "another repository lies there" if found else "it is not there"
    except (OSError, ConfigurationError) as error:
        here, why = False, getattr(error, "strerror", None) or str(error)
    if not here:
        raise ServiceUnavailableError(
            f"The repository's root {root} is away: {why}.",
            safe="nothing was changed, and no receipt is given meanwhile.",
            next_step="mount it; what waits for it goes on by itself.",
        )


def _require_same(root: Path, remembered: str) -> None:
    found = _read_marker(root)
    if found is None:
        raise _refuse(f"The repository's root {root} was served here and is not there now.")
    if found != remembered:
        raise _refuse(f"The repository in {root} is another one than was served here ({remembered}).")


def _require_catalogued(root: Path, catalogued: CataloguedRoot) -> None:
    found = _read_marker(root)
    if catalogued.repository_id is None:
        # An earlier version's root has its folders and no marker.
        if catalogued.holds_shards and found is None and not RepositoryFolders(root).shards.is_dir():
            raise _refuse(f"The catalogue lists shards, and the repository's root {root} holds nothing.")
    elif found is None:
        raise _refuse(
            f"The catalogue is of the repository {catalogued.repository_id}, which is not in its root {root}."
        )
    elif found != catalogued.repository_id:
        raise _refuse(
            f"The repository in {root} is {found}, the catalogue is of another ({catalogued.repository_id})."
        )


def _marked(root: Path) -> str:
    """The id of a root, given now if it has none. One service at a time gives it."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while (found := _read_marker(root)) is None:
        with root_lock(root) as ours:
            if ours and _read_marker(root) is None:
                marker = _Marker(repository_id=secrets.token_hex(16), made_utc=utc_now())
                write_atomic(RepositoryFolders(root).marker, marker.model_dump_json(indent=2).encode())
                continue
        if time.monotonic() > deadline:
            raise ServiceUnavailableError(
                f"Another service has been busy in {root} for {_LOCK_TIMEOUT_S:g} s.",
                safe="nothing was started.",
                next_step="stop it, start this one, then the other.",
            )
        time.sleep(_LOCK_POLL_S)
    return found


def _read_marker(root: Path) -> str | None:
    path = RepositoryFolders(root).marker
    content = _content(path)
    if content is None:
        return None
    try:
        return _Marker.model_validate_json(content).repository_id
    except ValidationError as error:
        raise _unreadable(path) from error


def _served(home: Path) -> _Served:
    path = home / _SERVED
    content = _content(path)
    if content is None:
        return _Served()
    try:
        return _Served.model_validate_json(content)
    except ValidationError as error:
        raise _unreadable(path) from error


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def _unreadable(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} does not say which repository it is.",
        safe="nothing was changed.",
        next_step="put it back from a backup.",
    )


def _refuse(what: str) -> ConfigurationError:
    return ConfigurationError(
        what,
        safe="nothing was made, and no receipt was given.",
        next_step="is it mounted? If a new root is meant: `eucentric repository serve --new-root`.",
    )
