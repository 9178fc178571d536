"""Handing a version to the edge, and believing it only when the edge says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from eucentric_core import Settings
from eucentric_core.transport import PyroControlClient
from eucentric_model_registry import goes_by_releases

from .._errors import InstallationError
from ._edge_call import asking_edge

__all__ = ["install"]

_INSTALL_TIMEOUT_S = 60.0


def install(settings: Settings, folder: Path, version: int, say: Callable[[str], None]) -> None:
    """Have the edge install a bundle and confirm that it serves this version.

    May be repeated: a version that serves already is not installed again.

    Raises:
        BundleError: the edge refused the bundle; the old model keeps serving.
        ServiceUnavailableError: the edge did not answer for a minute.
        InstallationError: it answers, but with another version.
    """
    with asking_edge(settings, timeout_s=_INSTALL_TIMEOUT_S) as (edge, attempts):
        attempts(_install_once, edge, folder, version)
        serving = edge.call("status", {})["model_version"]
    if serving != version:
        raise InstallationError(
            f"The edge serves version {serving}, not version {version}.",
            safe="the edge keeps serving what it verified.",
            next_step="see the edge's log: it may have gone back to the version before.",
            serving=serving,
        )
    say(f"the edge serves version {version}")


def _install_once(edge: PyroControlClient, folder: Path, version: int) -> None:
    # After a broken call it is unknown whether it ran; the edge knows.
    status = edge.call("status", {})
    if status["model_version"] == version:
        return
    if goes_by_releases(status):
        # It fetches the files itself, from wherever it reads releases: this machine's folders may not be its.
        edge.call("look", {})
    else:
        edge.call("install", {"folder": str(folder)})
