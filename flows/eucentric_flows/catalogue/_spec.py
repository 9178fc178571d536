"""What a flow declares of itself. Imports without Prefect: one module for each flow, one `FlowSpec` in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, WithJsonSchema

from eucentric_core import AnyEvent, FrozenModel, Identifier, Settings

from .._pipeline import Ending, RunStage, Site
from ..runs import ActiveRun

__all__ = ["FlowRequest", "FlowSpec", "Running"]

_PLAIN_EVENT = {
    "anyOf": [{"type": "object"}, {"type": "null"}],
    "default": None,
    "title": "Event",
    "description": "What a policy reacted to; filled in by it.",
}


class FlowRequest(FrozenModel):
    """What every flow can be told. A person leaves all of this empty."""

    trigger_id: Annotated[
        Identifier | None,
        Field(description="Names the run: the same id is never carried out twice. Empty: a new one."),
    ] = None
    policy: Annotated[Identifier | None, Field(description="The policy that asks; filled in by it.")] = None
    event: Annotated[AnyEvent | None, WithJsonSchema(_PLAIN_EVENT)] = None
    requested_by: Annotated[
        str | None, Field(max_length=200, description="The person who asks; filled in.")
    ] = None


_Request = TypeVar("_Request", bound=FrozenModel)


@dataclass(frozen=True, slots=True)
class Running:
    """What a flow works with while it is carried out.

    Attributes:
        settings: of the service.
        run: its record; `run.trigger_id` names it.
        run_stage: carries out one named stage, recorded and shown; a flow that is resumed does every stage
            again, so each must find what it has done before.
        folder: of this run, the same in every attempt; results and checkpoints lie in it.
        open_site: registry, keys and outbox, for flows that handle models.
    """

    settings: Settings
    run: ActiveRun
    run_stage: RunStage
    folder: Path
    open_site: Callable[[], AbstractContextManager[Site]]


@dataclass(frozen=True, slots=True)
class FlowSpec(Generic[_Request]):
    """A flow.

    Attributes:
        name: as people and Prefect know it; its deployment is `<name>/eucentric`.
        summary: one sentence, shown on Prefect's page.
        request: frozen model of its parameters; Prefect's page makes a form of it.
        carry_out: does it. May be called again with the same request after a crash.
        subject: what it is about: a model, or an instrument. One run at a time is about one thing.
        computes: it carries tasks out on workers; where they are processes of this machine, they are forked
            with its own process, which has imported what they need.
    """

    name: str
    summary: str
    request: type[_Request]
    carry_out: Callable[[Running, _Request], Ending]
    subject: Callable[[Settings, _Request], str]
    computes: bool = False

    def parse(self, parameters: dict[str, Any]) -> _Request:
        """Parameters as the frozen model.

        Raises:
            pydantic.ValidationError: they are no good.
        """
        return self.request.model_validate(parameters)
