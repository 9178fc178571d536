"""The same scope for asynchronous code: each call runs on a thread, none blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from eucentric_core import Capabilities, LeaseStatus
from eucentric_core.vocabulary import (
    Command,
    CommandResult,
    InstrumentState,
    MoveReport,
    OpticsReport,
    ScanStream,
    StreamReport,
    VectorReport,
)

from ._connect import connect
from ._measurement import Measurement
from ._scope import Scope

__all__ = ["AsyncScope", "connect_async"]

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class AsyncScope:
    """`Scope` with `await`. A cancelled await does not stop the instrument: `abort_scan` or `safe_stop` do.

    Args:
        scope: a connected scope; closed together with this one.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def capabilities(self) -> Capabilities:
        """What the instrument can do."""
        return self.scope.capabilities

    async def execute(self, command: Command) -> CommandResult:
        """See `SteeringClient.execute`; every verb of the vocabulary passes here."""
        return await _on_thread(self.scope.execute, command)

    async def state(self) -> InstrumentState:
        """The instrument as it stands."""
        return await _on_thread(self.scope.state)

    async def lease(self) -> LeaseStatus:
        """Who steers at present."""
        return await _on_thread(self.scope.lease)

    async def safe_stop(self) -> None:
        """Blank the beam, stop scanning and halt the stage, now."""
        await _on_thread(self.scope.safe_stop)

    async def start_session(
        self, session: str, *, sample: str | None = None, material: str | None = None
    ) -> None:
        """Open a session."""
        await _on_thread(self.scope.start_session, session, sample=sample, material=material)

    async def stop_session(self) -> None:
        """Close the session."""
        await _on_thread(self.scope.stop_session)

    async def stage(self) -> MoveReport:
        """Read the stage."""
        return await _on_thread(self.scope.stage)

    async def move_stage(
        self, *, x_m: float | None = None, y_m: float | None = None, z_m: float | None = None
    ) -> MoveReport:
        """Move the stage to an absolute position (m)."""
        return await _on_thread(self.scope.move_stage, x_m=x_m, y_m=y_m, z_m=z_m)

    async def tilt_stage(
        self, *, alpha_rad: float | None = None, beta_rad: float | None = None
    ) -> MoveReport:
        """Tilt the stage to absolute angles (rad)."""
        return await _on_thread(self.scope.tilt_stage, alpha_rad=alpha_rad, beta_rad=beta_rad)

    async def blank(self) -> None:
        """Blank the beam."""
        await _on_thread(self.scope.blank)

    async def unblank(self, *, max_duration_s: float) -> None:
        """Unblank the beam for at most `max_duration_s`."""
        await _on_thread(self.scope.unblank, max_duration_s=max_duration_s)

    async def shift_beam(self, *, x_m: float, y_m: float) -> VectorReport:
        """Shift the beam (m)."""
        return await _on_thread(self.scope.shift_beam, x_m=x_m, y_m=y_m)

    async def set_defocus(self, defocus_m: float) -> OpticsReport:
        """Set the defocus (m)."""
        return await _on_thread(self.scope.set_defocus, defocus_m)

    async def set_field_of_view(self, field_of_view_m: float) -> OpticsReport:
        """Set the width of the scanned field (m)."""
        return await _on_thread(self.scope.set_field_of_view, field_of_view_m)

    async def scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6
    ) -> Measurement:
        """Scan one frame and wait for its array."""
        return await _on_thread(
            self.scope.scan, height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s
        )

    async def stream(self, command: ScanStream) -> StreamReport:
        """Start streaming frames to the data channel."""
        return await _on_thread(self.scope.stream, command)

    async def abort_scan(self) -> None:
        """Stop scanning."""
        await _on_thread(self.scope.abort_scan)

    @asynccontextmanager
    async def control(self, *, reason: str, take_over: bool = False) -> AsyncIterator[Self]:
        """Hold the lease; see `SteeringClient.control`."""
        held = self.scope.control(reason=reason, take_over=take_over)
        await _on_thread(held.__enter__)
        try:
            yield self
        except BaseException as error:
            if not await _on_thread(held.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await _on_thread(held.__exit__, None, None, None)

    async def close(self) -> None:
        """Close all connections."""
        await _on_thread(self.scope.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def connect_async(*where: Any, **how: Any) -> AsyncScope:
    """Connect as `eucentric.connect` does, for asynchronous code."""
    return AsyncScope(await _on_thread(connect, *where, **how))


async def _on_thread(
    function: Callable[_Given, _Answer], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Answer:
    return await asyncio.to_thread(function, *args, **kwargs)
