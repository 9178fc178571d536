"""Where a challenger's bundle comes from: a folder that was named, or what was released for a trial."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eucentric_core import CommandRefusedError, Settings

from ._installer import Installer
from ._open_trust import Releases
from ._release_fetch import fetch_released

__all__ = ["challenger_bundle"]


@contextmanager
def challenger_bundle(
    settings: Settings, installer: Installer, releases: Releases | None, named: Path | None
) -> Iterator[Path]:
    """Yields the folder of a challenger's bundle, not yet verified; what was fetched is removed afterwards.

    Args:
        settings: of this edge.
        installer: knows what is in service.
        releases: where a released challenger comes from; None on an edge that goes by keys alone.
        named: the folder, for an edge that goes by keys alone. One that goes by releases takes the folder
            only if it holds the released challenger, which the installer decides.

    Raises:
        CommandRefusedError: no challenger was named or released.
        EucentricError: it could not be fetched.
    """
    if named is not None:
        yield named
        return
    if releases is None:
        raise _refused("No challenger was named.", "name the folder of its bundle.")
    release = releases.trust.newest_challenger(installer.state)
    if release is None:
        raise _refused("No challenger was released for a trial.", "release one on the hub.")
    folder = settings.home / "edge" / "challenger"
    try:
        fetch_released(releases.source, release, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refused(what: str, next_step: str) -> CommandRefusedError:
    return CommandRefusedError(what, safe="the model in service keeps serving.", next_step=next_step)
