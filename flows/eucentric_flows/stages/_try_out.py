"""Trying a signed challenger beside the champion: its behaviour, the gates on it, and the page for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from eucentric_core import (
    BundleManifest,
    EucentricError,
    FrozenModel,
    LatencyMeasurement,
    claimed_manifest,
    run_environment,
    write_atomic,
)
from eucentric_model_registry import (
    Figures,
    Gates,
    PageHeader,
    Sample,
    Verdict,
    comparison_page,
    edge_figures,
    measure_behaviour,
    side_by_side,
    with_behaviour,
)
from eucentric_models.engines import EngineModel, ModelDescription, engine_named, read_plain_array

from ._ask_edge import measured_at_edge, measured_in_service
from ._judgement import Judgement
from ._publish import Publication
from ._workspace import start_data

__all__ = ["explain", "try_out"]

_MAX_SAMPLES = 4
_PAGE = "comparison.html"
_log = logging.getLogger(__name__)


class Trial(FrozenModel):
    """What came of the trial: the verdict on data and behaviour, and the behaviour of both models.

    `at_edge` is what the edge measured of the challenger, where a gate asks for it.
    """

    verdict: Verdict
    challenger: Figures
    champion: Figures | None
    at_edge: LatencyMeasurement | None = None


def try_out(
    publication: Publication, judgement: Judgement, gates: Gates, say: Callable[[str], None]
) -> Verdict:
    """Measure how the signed challenger behaves, hold it against the gates on that, and write the page.

    A trial that was made is not made again. Where nothing can be tried, for example because the engine takes
    no images, the gates on behaviour fail: what was not measured passes no limit.

    Args:
        publication: whose; the bundle lies in its workspace.
        judgement: on held-out data.
        gates: of the policy.
        say: notes what is being done.

    Raises:
        ModelsError: the challenger cannot analyse held-out images.
        EucentricError: a gate asks for the edge's own measurement, and the edge could not be asked.
    """
    evidence = _evidence(publication)
    done = evidence / "trial.json"
    if done.exists():
        return Trial.model_validate_json(done.read_bytes()).verdict
    bundle = publication.workspace.bundle
    if not bundle.exists():
        # The version was registered by an earlier attempt whose files are gone.
        return judgement.verdict
    say("trying the challenger beside the champion")
    manifest, challenger = _opened(bundle)
    champion = None
    if publication.workspace.champion.exists():
        _, champion = _opened(publication.workspace.champion)
    samples = _samples(publication, manifest)
    folder = publication.workspace.champion if champion is not None else None
    behaviour = measure_behaviour(challenger, samples, champion=champion, champion_folder=folder)
    before = None if champion is None else measure_behaviour(champion, samples)
    at_edge = None
    if gates.at_the_edge:
        at_edge = measured_at_edge(publication, say)
        behaviour = _merged(behaviour, edge_figures(at_edge))
        if before is not None and any(gate.compares for gate in gates.at_the_edge):
            before = _merged(before, edge_figures(measured_in_service(publication)))
    verdict = with_behaviour(judgement.verdict, behaviour, before, gates.on_behaviour)
    page = comparison_page(
        _header(publication, manifest, at_edge),
        verdict,
        _merged(_challenger_figures(judgement), behaviour),
        None if champion is None else _merged(_champion_figures(judgement), before),
        side_by_side(samples[:_MAX_SAMPLES], challenger, champion),
    )
    evidence.mkdir(exist_ok=True)
    write_atomic(evidence / _PAGE, page.encode())
    write_atomic(evidence / "judgement.json", judgement.model_dump_json(indent=1).encode())
    trial = Trial(verdict=verdict, challenger=behaviour, champion=before, at_edge=at_edge)
    write_atomic(done, trial.model_dump_json(indent=1).encode())
    if verdict != judgement.verdict:
        say(verdict.sentence)
    return verdict


def explain(publication: Publication, version: int, judgement: Judgement, gates: Gates) -> None:
    """Write the page of a decision, if that was not done, and store it with the version in the catalogue.

    The decision stands without its page: what goes wrong here is logged.
    """
    try:
        try_out(publication, judgement, gates, _log.info)
        if (evidence := _evidence(publication)).exists():
            publication.registry.attach_evidence(publication.model, version, evidence)
    except EucentricError as error:
        _log.warning("version %d has no page of evidence: %s", version, error)


def _evidence(publication: Publication) -> Path:
    return publication.workspace.folder / "evidence"


def _opened(folder: Path) -> tuple[BundleManifest, EngineModel]:
    # Both were verified by the stages that put them there.
    manifest = claimed_manifest(folder)
    return manifest, engine_named(manifest.engine).open(folder, ModelDescription.of_manifest(manifest))


def _samples(publication: Publication, manifest: BundleManifest) -> list[Sample]:
    if engine_named(manifest.engine).takes != "image":
        return []
    from eucentric_hpc import TrainingDataError, read_training_set

    held_out = sorted(publication.workspace.inputs.glob("*-holdout.npz"))
    held_out.append(start_data(publication.settings, publication.model).holdout)
    for path in held_out:
        try:
            data = read_training_set(path)
        except TrainingDataError:
            continue  # inputs of another kind, or none
        chosen = zip(data.frames[:_MAX_SAMPLES], data.pixel_sizes_m[:_MAX_SAMPLES], strict=True)
        return [(frame, size_m) for frame, size_m in chosen]
    return [(read_plain_array(publication.workspace.bundle / chip.frame), None) for chip in manifest.golden]


def _header(
    publication: Publication, manifest: BundleManifest, at_edge: LatencyMeasurement | None
) -> PageHeader:
    lineage = manifest.lineage
    measured = () if at_edge is None else (f"latency measured {at_edge.sentence}",)
    return PageHeader(
        model=publication.model,
        challenger=f"v{manifest.version}",
        champion=lineage.trained_from,
        lines=(
            f"policy {lineage.policy or 'none'}, trigger {lineage.trigger_id}",
            f"data sets: {', '.join(lineage.datasets) or 'none (simulated)'}",
            f"made by {lineage.code_version} at {manifest.created_utc:%Y-%m-%d %H:%M} UTC",
            "with " + ", ".join(f"{name} {what}" for name, what in run_environment().items()),
            *measured,
        ),
    )


def _challenger_figures(judgement: Judgement) -> Figures:
    if judgement.evidence is not None:
        return judgement.evidence.challenger_figures
    return judgement.challenger or Figures(holdouts={})


def _champion_figures(judgement: Judgement) -> Figures | None:
    return judgement.champion if judgement.evidence is None else judgement.evidence.champion_figures


def _merged(one: Figures | None, other: Figures | None) -> Figures:
    return Figures(holdouts={**(one.holdouts if one else {}), **(other.holdouts if other else {})})
