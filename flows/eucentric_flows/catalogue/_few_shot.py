"""`few-shot`: from a saved support set to a model in service, judged by its chips left out once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import Identifier, Settings, write_atomic
from eucentric_data_repository import open_catalogue
from eucentric_model_registry import Gates, MetricGate
from eucentric_model_registry.support_sets import SupportSetRecord, support_set_store

from .._errors import HeldError
from .._pipeline import Ending
from .._retraining import retrain as retrain_model
from .._warm_executor import warm_executor
from ..policy import FileInput, NewestInput, RetrainAction, RetrainRequest
from ._spec import FlowRequest, FlowSpec, Running

__all__ = ["FEW_SHOT", "SupportSetRequest", "retraining_by_support_set"]

_RECIPE = "few-shot"
_FOLDER = "support-sets"
"""Below the model's folder of what people provide."""

_NOT_WORSE = MetricGate(metric="agreement", max_loss=0.0, title="agreement not worse")
_MOST_RECOGNISED = MetricGate(metric="agreement", at_least=0.5, title="most chips recognised when left out")

_FRAMES = 8
"""The least that a retraining gathers; of them only the newest image is looked at."""


class SupportSetRequest(FlowRequest):
    """Make a model of a support set of the studio."""

    model: Annotated[
        Identifier | None,
        Field(description="Its name. Empty: what the edge serves. An existing one must be a few-shot model."),
    ] = None
    support_set: Annotated[
        Identifier, Field(description="Name of a support set that was saved in the studio.")
    ]
    support_version: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Empty: the newest."
    )
    session: Annotated[
        Identifier | None,
        Field(
            description="Its newest image says how much is none of the classes. Empty: the newest session."
        ),
    ] = None
    stream: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")] = "haadf"


def _carry_out(running: Running, request: SupportSetRequest) -> Ending:
    settings, trigger_id = running.settings, running.run.trigger_id
    wanted, action = retraining_by_support_set(settings, request, trigger_id)
    logs = settings.logs / "hpc" / trigger_id
    with running.open_site() as site, warm_executor(settings, logs) as executor:
        return retrain_model(site, wanted, action, executor, running.run_stage)


def retraining_by_support_set(
    settings: Settings, request: SupportSetRequest, trigger_id: str
) -> tuple[RetrainRequest, RetrainAction]:
    """The retraining that makes a model of a support set; puts the set where the recipe finds it.

    Raises:
        SupportSetStoreError: there is no such set or version, or it is damaged.
        HeldError: the repository holds no images yet.
    """
    model = request.model or settings.edge.model
    store = support_set_store(settings)
    record = store.record(request.support_set, request.support_version)
    session = _session(settings, request)
    provided = _provide(settings, model, record, store.content(record))
    action = RetrainAction(
        recipe=_RECIPE,
        inputs={"support": FileInput(path=provided), "image": NewestInput(stream=request.stream)},
        frames=_FRAMES,
        gather_timeout_s=1,
        # Somebody asked for these classes: as good as the champion is good enough.
        gates=Gates(metrics=(_NOT_WORSE, _MOST_RECOGNISED)),
    )
    wanted = RetrainRequest(
        trigger_id=trigger_id,
        policy=request.policy,
        model=model,
        session=session,
        requested_by=request.requested_by,
    )
    return wanted, action


def _provide(settings: Settings, model: str, record: SupportSetRecord, content: bytes) -> str:
    """Put a version where recipes find what people provide; its path below the model's folder.

    It is also what judges: chips that a model was made of are left out once each.
    """
    stem = f"{record.name}-v{record.version}"
    folder = settings.home / "training" / model / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in (f"{stem}.json", f"{stem}-holdout.json"):
        write_atomic(folder / name, content)
    return f"{_FOLDER}/{stem}.json"


def _session(settings: Settings, request: SupportSetRequest) -> str:
    if request.session is not None:
        return request.session
    with open_catalogue(settings) as catalogue:
        found = [entry for entry in catalogue.datasets() if entry.frames]
    if not found:
        raise HeldError(
            "the repository holds no images yet",
            safe="nothing was made; the model in service keeps serving.",
            next_step="record a session, and start again.",
        )
    return found[-1].session


FEW_SHOT = FlowSpec(
    name="few-shot",
    summary="Make a model of a support set of the studio: judge, sign, register, promote and install it.",
    request=SupportSetRequest,
    carry_out=_carry_out,
    subject=lambda settings, request: request.model or settings.edge.model,
    computes=True,
)
