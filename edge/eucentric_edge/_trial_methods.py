"""Control methods beside installing: a challenger in the shadow, and other classes for a few-shot model."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from eucentric_core import EucentricError, FrozenModel, Settings
from eucentric_core.transport import Methods
from eucentric_models.engines import DescribedLiveModel, EngineModel, SupportedModel

from ._challenger_bundle import challenger_bundle
from ._errors import SupportRefusedError
from ._installer import Installer
from ._model_slot import ModelSlot
from ._open_trust import Releases
from ._serving_model import ServingModel
from ._shadow import Shadow

__all__ = ["trial_methods"]

_log = logging.getLogger(__name__)


class ChallengeRequest(FrozenModel):
    """Answer of `challenge`: `{"model_version"}`. Without a challenger the one at present is dropped.

    Attributes:
        folder: its bundle.
        released: fetch the challenger that was released for a trial.
    """

    folder: Path | None = None
    released: bool = False


class SupportRequest(FrozenModel):
    """Answer of `support`: `{"classes", "swap_s"}`. Without either, the classes it was installed with.

    Attributes:
        path: a support set, or a folder of folders of chips, on this machine.
        document: a support set itself, from a machine that shares no folder with this one.
    """

    path: Path | None = None
    document: Annotated[str, Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.path is not None and self.document is not None:
            raise ValueError("give either a path or a document")
        return self


def trial_methods(
    settings: Settings,
    installer: Installer,
    slot: ModelSlot,
    shadow: Shadow,
    releases: Releases | None,
    *,
    frame_shape: Callable[[], tuple[int, ...] | None],
    refused: Callable[[EucentricError], object],
) -> Methods:
    """The methods `challenge` and `support`.

    Args:
        settings: of this edge.
        installer: verifies, builds and tests the challenger.
        slot: where the model in service is.
        shadow: where the challenger runs.
        releases: where a released challenger comes from; None on an edge that goes by keys alone.
        frame_shape: tells `(ny, nx)` of the frames at present, to warm up with.
        refused: told of a challenger that was refused.
    """

    def challenge(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        request = ChallengeRequest.model_validate(payload)
        if request.folder is None and not request.released:
            shadow.challenge(None)
            return {"model_version": None}
        try:
            with challenger_bundle(settings, installer, releases, request.folder) as folder:
                model = installer.open_beside(folder, frame_shape=frame_shape())
        except EucentricError as error:
            refused(error)
            raise
        shadow.challenge(model)
        _log.info("version %d runs in the shadow", model.manifest.version)
        return {"model_version": model.manifest.version}

    def support(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
        request = SupportRequest.model_validate(payload)
        started_s = time.perf_counter()
        if request.document is not None:
            with tempfile.TemporaryDirectory(prefix="eucentric-support-") as folder:
                received = Path(folder) / "support.json"
                received.write_text(request.document, encoding="utf-8")
                with_other_classes(slot, received)
        else:
            with_other_classes(slot, request.path)
        serving = slot.model
        classes = () if serving is None else serving.model.description.classes
        return {"classes": list(classes), "swap_s": time.perf_counter() - started_s}

    return {"challenge": challenge, "support": support}


def with_other_classes(slot: ModelSlot, path: Path | None) -> ServingModel:
    """Give the few-shot model in service other classes, between two frames; None for those it came with.

    Its network and its weights stay as they are in memory: only the support chips are embedded. The classes
    hold until the next installation, rollback or restart.

    Raises:
        SupportRefusedError: no model is in service, or one without a support set, or the support set is none.
    """
    serving = slot.model
    if serving is None:
        raise _refused("no model is in service")
    model = serving.model
    if not isinstance(model, SupportedModel):
        raise _refused(f"the engine {serving.manifest.engine!r} knows no support sets")
    try:
        changed: EngineModel | DescribedLiveModel = (
            serving.installed if path is None else model.with_support(path)
        )
    except (EucentricError, OSError) as error:
        raise _refused(error.what if isinstance(error, EucentricError) else str(error)) from error
    other = serving.with_model(changed)
    slot.replace(other)
    return other


def _refused(reason: str) -> SupportRefusedError:
    return SupportRefusedError(
        f"The classes cannot be changed: {reason.rstrip('.')}.",
        safe="the model in service keeps its classes.",
        next_step="install a model of the engine `chips`, and name a support set: a .json, or a folder of "
        "folders of chips.",
    )
