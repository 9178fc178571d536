"""`evaluate`: how well a registered version does on recorded frames."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field

from eucentric_core import Identifier, ModelEvaluated, Settings, trace_id_of, verify_bundle, write_atomic
from eucentric_data_repository import open_catalogue
from eucentric_model_registry import HoldoutScore

from .._errors import HeldError
from .._patience import patient
from .._pipeline import Ending, Say
from .._warm_executor import warm_executor
from ..policy import RetrainAction, RetrainRequest
from ..stages import Champion, Gathered, ModelFiles, Workspace, gather
from ..stages._judge import score_task
from ._spec import FlowRequest, FlowSpec, Running

__all__ = ["EVALUATE", "EvaluateRequest"]


class EvaluateRequest(FlowRequest):
    """Score a version on frames of a session or a data set that carry labels."""

    model: Identifier = "atoms"
    version: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Empty: the champion.")
    session: Identifier | None = None
    dataset_id: str | None = None
    frames: Annotated[int, Field(ge=8, le=100_000)] = 32


def _carry_out(running: Running, request: EvaluateRequest) -> Ending:
    trigger_id = running.run.trigger_id
    workspace = Workspace.of(running.settings, request.model, trigger_id)
    with (
        running.open_site() as site,
        warm_executor(running.settings, running.settings.logs / "hpc" / trigger_id) as executor,
    ):

        def fetch(_: Say) -> Champion:
            champion = site.registry.champion(request.model)
            version = request.version or (None if champion is None else champion.version)
            if version is None:
                raise HeldError(
                    f"model {request.model} has no champion",
                    safe="nothing was changed.",
                    next_step="name a version, or make a first one with `eucentric flows bootstrap`.",
                )
            folder = workspace.champion
            if not folder.exists():
                site.registry.download(request.model, version, folder)
            return Champion(
                verify_bundle(folder, site.trusted, expected_name=request.model, newer_than=None), folder
            )

        def collect(say: Say) -> Gathered:
            wanted = RetrainRequest(
                trigger_id=trigger_id,
                model=request.model,
                event=request.event,
                session=request.session,
                dataset_id=request.dataset_id,
            )
            action = RetrainAction(frames=request.frames)
            with open_catalogue(running.settings) as catalogue:
                return gather(
                    catalogue,
                    wanted,
                    action,
                    workspace,
                    say,
                    champion=model.members,
                    classes=model.manifest.classes,
                )

        def score(say: Say) -> HoldoutScore:
            say("waiting for workers")
            files = ModelFiles.of_champion(model).model_dump(mode="json")
            frames = str(_whole(gathered, workspace))
            found = executor.result().submit(score_task, files, [frames]).result()[0]
            if found is None:
                raise HeldError(
                    "none of the frames is labelled",
                    safe="nothing was changed.",
                    next_step="label some of them on the dashboard.",
                )
            return HoldoutScore.model_validate(found)

        model = running.run_stage("fetch", patient(fetch))
        gathered = running.run_stage("gather", collect)
        found = running.run_stage("score", score)
        running.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(running.folder / "score.json", found.model_dump_json(indent=2).encode())
        site.outbox.add(
            ModelEvaluated(
                id=uuid5(NAMESPACE_URL, f"model.evaluated:{trigger_id}").hex,
                source="flows",
                model_name=request.model,
                model_version=model.manifest.version,
                metric="f1",
                value=found.f1,
                dataset_id=request.dataset_id,
                trace_id=trace_id_of(trigger_id),
            )
        )
    sentence = (
        f"version {model.manifest.version} of {request.model} has F1 {found.f1:.3f} on {gathered.session}"
    )
    return Ending("done", sentence, model.manifest.version)


def _whole(gathered: Gathered, workspace: Workspace) -> Path:
    """All gathered frames in one file: nothing is trained, so nothing has to be held back."""
    from eucentric_hpc import TrainingSet, read_training_set, write_training_set

    whole = workspace.inputs / "whole.npz"
    new = gathered.inputs["new"]
    parts = [read_training_set(path) for path in (*new.training, *new.holdout)]
    frames, truths, sizes_m = (
        tuple(chain.from_iterable(getattr(part, name) for part in parts))
        for name in ("frames", "truths", "pixel_sizes_m")
    )
    write_training_set(whole, TrainingSet(frames, truths, sizes_m))
    return whole


def _subject(_settings: Settings, request: EvaluateRequest) -> str:
    return request.model


EVALUATE = FlowSpec(
    name="evaluate",
    summary="Score a registered version on recorded frames that carry labels.",
    request=EvaluateRequest,
    carry_out=_carry_out,
    subject=_subject,
    computes=True,
)
