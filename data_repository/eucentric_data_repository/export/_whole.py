"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import ConfigurationError, OutOfSpaceError, fsync_directory

__all__ = ["Progress", "target_folder", "whole_folder"]

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""

_NO_ROOM = (28, 122)


def target_folder(destination: Path, name: str) -> Path:
    """Where an export goes: under this name into `destination`, which is made if need be.

    Raises:
        ConfigurationError: something is there already, `destination` is no folder, or its parent is missing.
    """
    target = destination / name
    if destination.exists() and not destination.is_dir():
        raise ConfigurationError(
            f"{destination} is there already and is no folder.",
            safe="it was not touched.",
            next_step="choose a folder to export into.",
        )
    if target.exists() or target.is_symlink():
        raise ConfigurationError(
            f"{target} is there already.",
            safe="it was not touched.",
            next_step="choose another destination, or remove it first.",
        )
    if not destination.absolute().parent.is_dir():
        raise ConfigurationError(
            f"There is no folder {destination.parent}.",
            safe="nothing was written.",
            next_step="make it, or choose another destination.",
        )
    return target


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that is renamed to it at the end, and removed after a failure.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    building = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    target.parent.mkdir(exist_ok=True)
    building.mkdir()
    try:
        yield building
        _make_durable(building)
        building.replace(target)
        fsync_directory(target.parent)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise OutOfSpaceError(
                f"No room to write {target.name}.",
                safe="what was written of it is removed; the repository is unchanged.",
                next_step=f"free space in {target.parent}, or choose another destination.",
            ) from error
        raise
    finally:
        # After the rename there is nothing left under this name.
        shutil.rmtree(building, ignore_errors=True)


def _make_durable(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            fsync_directory(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    fsync_directory(folder)
