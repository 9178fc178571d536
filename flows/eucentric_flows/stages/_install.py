"""Handing a version to the edge, and believing it only when the edge says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from eucentric_core import BusyError, Settings, TransportError, channel_credentials
from eucentric_core.transport import PyroControlClient
from eucentric_model_registry import goes_by_releases

from .._errors import InstallationError

__all__ = ["install"]

_INSTALL_TIMEOUT_S = 60.0
_KEEP_TRYING_S = 60.0


def install(settings: Settings, folder: Path, version: int, say: Callable[[str], None]) -> None:
    """Have the edge install a bundle and confirm that it serves this version.

    May be repeated: a version that serves already is not installed again.

    Raises:
        BundleError: the edge refused the bundle; the old model keeps serving.
        ServiceUnavailableError: the edge did not answer for a minute.
        InstallationError: it answers, but with another version.
    """
    edge = PyroControlClient(
        settings.edge.reachable_host,
        settings.edge.control_port,
        timeout_s=_INSTALL_TIMEOUT_S,
        credentials=channel_credentials(settings, settings.edge),
    )
    attempts = Retrying(
        retry=retry_if_exception_type((BusyError, TransportError)),
        wait=wait_random_exponential(0.5, max=5),
        stop=stop_after_delay(_KEEP_TRYING_S),
        reraise=True,
    )
    try:
        attempts(_install_once, edge, folder, version)
        serving = edge.call("status", {})["model_version"]
    finally:
        edge.close()
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
