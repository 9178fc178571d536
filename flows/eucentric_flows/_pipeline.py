"""What every way to a model in service shares: how a stage is run, what with, and how a version is published.

Plain functions: whoever carries a run out (Prefect, the bootstrap command) hands in how a stage is run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from eucentric_core import Settings, TrustedKeys
from eucentric_model_registry import Gates, Registry, Verdict

from ._event_outbox import EventOutbox
from ._outcome import Outcome
from ._patience import patient
from .stages import (
    Judgement,
    Publication,
    deliver,
    explain,
    promote,
    record_lineage,
    register,
    release,
    require_not_outrun,
    sign,
    try_out,
)

if TYPE_CHECKING:
    from eucentric_core.releases import Release
    from eucentric_hpc.recipes import BundleDraft

__all__ = ["Ending", "RunStage", "Say", "Site", "publish"]

_T = TypeVar("_T")

Say = Callable[[str], None]
"""Notes what a stage is doing or waiting for."""


class RunStage(Protocol):
    """Runs one named stage, records it, and returns what it returns."""

    def __call__(self, name: str, stage: Callable[[Say], _T], /) -> _T: ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended that did not fail."""

    outcome: Outcome
    reason: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """What the stages work with on this machine."""

    settings: Settings
    trusted: TrustedKeys
    registry: Registry
    outbox: EventOutbox

    @classmethod
    def of(cls, settings: Settings, outbox: EventOutbox) -> Site:
        """The site that the settings describe.

        Raises:
            ConfigurationError: the trusted keys cannot be read.
        """
        trusted = TrustedKeys.read(settings.trusted_keys_path)
        registry = Registry(settings.hub.mlflow_url, trusted, login_file=settings.hub.mlflow_login_file)
        return cls(settings, trusted, registry, outbox)


def publish(
    publication: Publication,
    draft: BundleDraft,
    judgement: Judgement,
    run_stage: RunStage,
    *,
    material: str,
    outbox: EventOutbox,
    datasets: tuple[str, ...],
    trained_from: str | None,
    installing: bool,
    gates: Gates | None = None,
) -> Ending:
    """Sign, register and, if the verdict says so, promote and install a version; each stage may be repeated.

    Raises:
        EucentricError: a stage failed; a repeated call goes on where this one stopped.
    """
    gates = gates or Gates()

    def sign_and_try(say: Say) -> Verdict:
        sign(
            publication,
            draft,
            judgement,
            material=material,
            datasets=datasets,
            trained_from=trained_from,
        )
        # Only what decides is waited for; the page for people is made once the model serves.
        return try_out(publication, judgement, gates, say) if gates.on_behaviour else judgement.verdict

    verdict = run_stage("sign", patient(sign_and_try))
    version = run_stage("register", patient(lambda _: register(publication)))
    record_lineage(publication, version.version)
    if not verdict.accepted:
        explain(publication, version.version, judgement, gates)
        return Ending("rejected", verdict.sentence, version.version)

    def promote_and_release(_: Say) -> Release | None:
        # First what counts, then what is told: an alias alone would have edges look for nothing.
        require_not_outrun(publication, version)
        released = release(publication, version, verdict.sentence, waiting=installing)
        promote(publication, version, verdict.sentence, outbox)
        return released

    released = run_stage("promote", patient(promote_and_release))
    if installing:
        run_stage("install", patient(lambda say: deliver(publication, version, released, say)))
        record_lineage(publication, version.version, edge=publication.settings.edge.name)
    explain(publication, version.version, judgement, gates)
    return Ending("promoted", verdict.sentence, version.version)
