"""What of a hub's files goes into an archive, what is a secret, and what is left out and why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eucentric_core import Settings, is_scratch_folder

from .._folder import HubFolder

__all__ = ["LEFT_OUT", "Part", "files_of", "holds_private_key", "is_secret", "parts_of"]

LEFT_OUT = {
    "logs": "say what happened, change all the time",
    "run": "says what runs now",
    "postgres": "its databases are copied as dumps",
    "prefect": "Prefect's own scratch; what it knows is in its database",
    "backups": "the archives themselves",
    "imports": "files on their way into the registry",
    "agent": "a control PC's own, if it is the same machine",
    "edge": "an edge's own, if it is the same machine: it fetches what is released",
    "repository-inbox": "files on their way",
    "repository-archives": "files on their way",
}
"""Folders directly below the home that are not copied, nor are those that are marked as scratch."""

_LARGEST_KEY_BYTES = 64 << 10
_SCRATCH = (".part", ".lock", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Part:
    """A folder that is copied: its name in the archive, and where it lies."""

    name: str
    folder: Path


def parts_of(settings: Settings) -> tuple[Part, ...]:
    """The home, and what the settings put elsewhere."""
    home = settings.home
    artefacts = settings.hub.mlflow_artifacts_folder
    elsewhere = {
        "keys": settings.signing_key_path.parent,
        "policies": settings.policies_path,
        "artefacts": artefacts,
        "repository": settings.repository_path,
        "releases": settings.releases_path,
    }
    return (
        Part("home", home),
        *(
            Part(name, folder)
            for name, folder in elsewhere.items()
            if folder is not None and not folder.is_relative_to(home)
        ),
    )


def is_secret(name: str) -> bool:
    """Whether a file of the archive, by its name there, may only be in it sealed."""
    part, *rest = PurePosixPath(name).parts
    if part == "keys":
        return not name.endswith(".json") or rest[-1] == "webhook-secret"
    if part != "home" or not rest:
        return False
    top = rest[0]
    if top == "keys":
        # Public keys, roots and what waits for a signature are JSON; private keys and the webhook's are not.
        return not name.endswith(".json")
    if top == "tls":
        return rest[-1].startswith("key") or rest[-1].endswith(".key")
    return (
        top in ("authority", "globus")
        or rest[:2] == ["hub", "secrets"]
        or rest == ["hub", "environment"]
        or rest == ["mlflow", "webhook-encryption.key"]
        or rest == ["dashboard", "people.sqlite"]
        or "secret" in rest[-1].lower()
        or "passphrase" in rest[-1].lower()
    )


def holds_private_key(path: Path) -> bool:
    """Whether a file is a private key in PEM form, whatever it is called."""
    if path.stat().st_size > _LARGEST_KEY_BYTES:
        return False
    return b"PRIVATE KEY-----" in path.read_bytes()


def files_of(part: Part, settings: Settings) -> Iterator[tuple[Path, str]]:
    """The regular files of a part that are copied, with their names in the archive.

    Of the releases the timestamp comes first: what it refers to is written before it and kept for a while, so
    that what is read after it is complete.
    """
    folder, repository = HubFolder(settings.home), settings.repository_path
    documents_only = settings.hub.server.backup.data == "documents"
    backups = folder.backups(settings)
    passphrase = settings.hub.server.backup.passphrase_file
    timestamp = settings.releases_path / "metadata" / "timestamp.json"
    found = [
        path
        for path in sorted(_files_below(part.folder))
        if path.is_file()
        and not path.is_symlink()
        and not _is_left_out(path, part)
        and not path.is_relative_to(backups)
        and path != passphrase
        and not (
            path.is_relative_to(repository)
            and (path.name.startswith("catalogue.sqlite") or (documents_only and path.suffix == ".h5"))
        )
    ]
    found.sort(key=lambda path: path != timestamp)
    for path in found:
        yield path, f"{part.name}/{path.relative_to(part.folder).as_posix()}"


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file but those of runs, which make theirs again (`mark_scratch_folder`)."""
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = [name for name in folders if not is_scratch_folder(here / name)]
        yield from (here / name for name in names)


def _is_left_out(path: Path, part: Part) -> bool:
    inner = path.relative_to(part.folder)
    scratch = path.name.endswith(_SCRATCH) or (path.name.startswith(".") and path.name.endswith(".part"))
    return scratch or (part.name == "home" and len(inner.parts) > 1 and inner.parts[0] in LEFT_OUT)
