"""`publish`, `rollback`, `install`: which version is champion, and what the edge serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from eucentric_core import Identifier, Settings, settings_for_model, write_atomic
from eucentric_model_registry import move_champion

from .._errors import HeldError
from .._patience import patient
from .._pipeline import Ending, Say, Site
from ..stages import install
from ._spec import FlowRequest, FlowSpec, Running

__all__ = ["INSTALL", "PUBLISH", "ROLLBACK", "InstallRequest", "PublishRequest", "RollbackRequest"]


class _ModelRequest(FlowRequest):
    model: Identifier = "atoms"


class PublishRequest(_ModelRequest):
    """Make a registered version the champion, release it, and have this site's edge serve it."""

    version: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Empty: the challenger.")
    reason: str = "asked for"


class RollbackRequest(_ModelRequest):
    """Make the version champion that was so before, and have the edge serve it."""

    reason: str = "asked for"


class InstallRequest(_ModelRequest):
    """Hand a registered version to this site's edge, whether it is champion or not."""

    version: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Empty: the champion.")


def _subject(_settings: Settings, request: _ModelRequest) -> str:
    return request.model


def _publish(running: Running, request: PublishRequest) -> Ending:
    with running.open_site() as site:

        def choose(_: Say) -> int | None:
            challenger = site.registry.challenger(request.model)
            return request.version or (None if challenger is None else challenger.version)

        return _move(running, site, request.model, _chosen(running, choose, "no challenger"), request.reason)


def _rollback(running: Running, request: RollbackRequest) -> Ending:
    with running.open_site() as site:

        def choose(_: Say) -> int | None:
            previous = site.registry.previous(request.model)
            return None if previous is None else previous.version

        version = _chosen(running, choose, "no version that was champion before")
        return _move(running, site, request.model, version, f"rolled back: {request.reason}")


def _install(running: Running, request: InstallRequest) -> Ending:
    with running.open_site() as site:

        def choose(_: Say) -> int | None:
            champion = site.registry.champion(request.model)
            return request.version or (None if champion is None else champion.version)

        version = _chosen(running, choose, "no champion")
        bundle = running.folder / "bundle"
        settings = settings_for_model(running.settings, request.model)

        def fetch(_: Say) -> None:
            if not bundle.exists():
                site.registry.download(request.model, version, bundle)

        running.run_stage("fetch", patient(fetch))
        running.run_stage("install", lambda say: install(settings, bundle, version, say))
    return Ending("done", f"the edge serves version {version} of {request.model}", version)


def _chosen(running: Running, choose: Callable[[Say], int | None], missing: str) -> int:
    """The version, chosen once: a run that goes on means the one that it meant before."""
    note: Path = running.folder / "version"

    def stage(say: Say) -> int:
        if note.exists():
            return int(note.read_text())
        version = choose(say)
        if version is None:
            raise HeldError(
                f"there is {missing}",
                safe="nothing was changed.",
                next_step="`eucentric models ls` lists the versions.",
            )
        running.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(note, str(version).encode())
        say(f"version {version}")
        return version

    return running.run_stage("choose", patient(stage))


def _move(running: Running, site: Site, model: str, version: int, reason: str) -> Ending:
    def stage(say: Say) -> str:
        champion = site.registry.champion(model)
        if champion is not None and champion.version == version:
            return f"version {version} of {model} is champion"
        moved = move_champion(
            settings_for_model(running.settings, model),
            site.registry,
            model,
            version,
            reason=reason,
            who=f"run {running.run.trigger_id}",
        )
        say(f"the edge: {moved.deployment.state}")
        return f"version {version} of {model} is champion; the edge: {moved.deployment.state}"

    return Ending("promoted", running.run_stage("promote", patient(stage)), version)


PUBLISH = FlowSpec(
    name="publish",
    summary="Make a registered version the champion, release it and have the edge serve it.",
    request=PublishRequest,
    carry_out=_publish,
    subject=_subject,
)
ROLLBACK = FlowSpec(
    name="rollback",
    summary="Go back to the champion before, release it and have the edge serve it.",
    request=RollbackRequest,
    carry_out=_rollback,
    subject=_subject,
)
INSTALL = FlowSpec(
    name="install",
    summary="Hand a registered version to this site's edge and ask it what it serves.",
    request=InstallRequest,
    carry_out=_install,
    subject=_subject,
)
