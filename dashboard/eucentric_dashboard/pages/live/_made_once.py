"""The message of a frame, made once for all viewers of the same, off the thread that serves them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from eucentric_core import give_way

from ..._encode import Contrast
from ..._picture import Picture
from ._message import frame_message

__all__ = ["Choice", "FrameMessage", "MessageMaker", "state_of"]

_KEPT = 16
"""Messages: three contrasts, with and without uncertainty, of the newest frames."""


class Choice(BaseModel):
    """What one viewer wants to see, as its browser says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contrast: Contrast = "normal"
    uncertainty: bool = False


@dataclass(frozen=True, slots=True)
class FrameMessage:
    """What is sent, and when it was made (monotonic seconds); its header says how old the frame was then."""

    content: bytes
    made_s: float


def state_of(picture: Picture, choice: Choice) -> tuple[object, ...]:
    """What tells apart what a viewer of one instrument may be sent."""
    answered, mapped = picture.answer is not None, picture.class_map is not None
    return picture.version, answered, mapped, picture.deviation is not None and choice.uncertainty, choice


class MessageMaker:
    """Of one instrument, on the loop of the web server."""

    def __init__(self) -> None:
        # Those who serve pages come first, those who make images after them.
        self._thread = ThreadPoolExecutor(1, "frame-messages", initializer=give_way)
        self._made: OrderedDict[object, asyncio.Future[FrameMessage]] = OrderedDict()

    async def made(self, picture: Picture, choice: Choice) -> FrameMessage:
        """The message; whoever asks for the same meanwhile or afterwards gets the same."""
        state = state_of(picture, choice)
        future = self._made.get(state)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._made[state] = loop.run_in_executor(self._thread, _make, picture, choice)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        # A viewer that goes must not take the others' message with it.
        return await asyncio.shield(future)


def _make(picture: Picture, choice: Choice) -> FrameMessage:
    made_s = time.monotonic()
    content = frame_message(
        picture, choice.contrast, with_uncertainty=choice.uncertainty, age_s=made_s - picture.arrived_s
    )
    return FrameMessage(content, made_s)
