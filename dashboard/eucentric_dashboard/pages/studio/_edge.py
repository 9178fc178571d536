"""The edge as the studio needs it: whether it can take other classes, and giving them to it."""

from __future__ import annotations

from contextlib import closing

from pydantic import JsonValue, ValidationError

from eucentric_core import FrozenModel, Settings, channel_credentials
from eucentric_core.transport import PyroControlClient

from ..._another_version import another_version

__all__ = ["CHIPS_ENGINE", "EdgeState", "give_back_classes", "look_at_edge", "send_to_edge"]

CHIPS_ENGINE = "chips"
_TIMEOUT_S = 10.0
MOST_SENT_BYTES = 900 << 10
"""What a control message may hold, less what surrounds it; larger sets are sent without their pixels."""


class EdgeState(FrozenModel):
    """What the edge serves.

    Attributes:
        model: its name and version, None where none is in service.
        engine: of the model.
        classes: that it answers with.
    """

    model: str | None
    engine: str | None
    classes: tuple[str, ...]

    @property
    def takes_support(self) -> bool:
        """Whether it can be given other classes."""
        return self.engine == CHIPS_ENGINE


def look_at_edge(settings: Settings) -> EdgeState:
    """What the edge serves now.

    Raises:
        EucentricError: it does not answer.
    """
    with _control(settings) as control:
        said = control.call("status", {})
    name, version = said.get("model_name"), said.get("model_version")
    try:
        return EdgeState.model_validate(
            {
                "model": None if version is None else f"{name} v{version}",
                "engine": said.get("engine"),
                "classes": said.get("classes") or (),
            }
        )
    except ValidationError as error:
        raise another_version("edge") from error


def send_to_edge(settings: Settings, support: bytes) -> tuple[str, ...]:
    """Give the classes of a support set to the model in service; the classes it then has.

    Raises:
        EucentricError: it does not answer, or cannot take them.
    """
    if len(support) > MOST_SENT_BYTES:
        from eucentric_models.fewshot import SupportSet

        support = SupportSet.from_json(support).without_pixels().model_dump_json().encode()
    with _control(settings) as control:
        said = control.call("support", {"document": support.decode()})
    return _classes(said)


def give_back_classes(settings: Settings) -> tuple[str, ...]:
    """Give the model in service the classes that it was installed with.

    Raises:
        EucentricError: it does not answer, or no model is in service.
    """
    with _control(settings) as control:
        said = control.call("support", {})
    return _classes(said)


def _classes(said: dict[str, JsonValue]) -> tuple[str, ...]:
    named = said.get("classes")
    return tuple(str(name) for name in named) if isinstance(named, list) else ()


def _control(settings: Settings) -> closing[PyroControlClient]:
    edge = settings.edge
    credentials = channel_credentials(settings, edge)
    return closing(
        PyroControlClient(edge.host, edge.control_port, timeout_s=_TIMEOUT_S, credentials=credentials)
    )
