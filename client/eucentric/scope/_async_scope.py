"""The same scope for asynchronous code: each call runs on a thread, none blocks the event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from eucentric_core import Capabilities, EucentricError

from ._connect import connect
from ._scope import Scope

__all__ = ["AsyncScope", "connect_async"]

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def _awaited(
    method: Callable[Concatenate[Scope, _Given], _Answer],
) -> Callable[Concatenate[AsyncScope, _Given], Coroutine[Any, Any, _Answer]]:
    """The same method, with the same arguments and answer, to be awaited."""

    @functools.wraps(method)
    async def call(self: AsyncScope, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        # By name: a subclass of Scope may have its own.
        answer: _Answer = await asyncio.to_thread(getattr(self.scope, method.__name__), *args, **kwargs)
        return answer

    return call


class AsyncScope:
    """`Scope` with `await`: the same verbs with the same arguments.

    A cancelled await does not stop the instrument: `abort_scan` or `safe_stop` do.

    Args:
        scope: a connected scope; closed together with this one.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    execute = _awaited(Scope.execute)
    safe_stop = _awaited(Scope.safe_stop)
    close = _awaited(Scope.close)

    state = _awaited(Scope.state)
    start_session = _awaited(Scope.start_session)
    stop_session = _awaited(Scope.stop_session)

    stage = _awaited(Scope.stage)
    move_stage = _awaited(Scope.move_stage)
    move_stage_by = _awaited(Scope.move_stage_by)
    tilt_stage = _awaited(Scope.tilt_stage)
    stop_stage = _awaited(Scope.stop_stage)

    blank = _awaited(Scope.blank)
    unblank = _awaited(Scope.unblank)
    park_beam = _awaited(Scope.park_beam)
    shift_beam = _awaited(Scope.shift_beam)
    set_column_valve = _awaited(Scope.set_column_valve)

    set_defocus = _awaited(Scope.set_defocus)
    set_field_of_view = _awaited(Scope.set_field_of_view)
    set_scan_rotation = _awaited(Scope.set_scan_rotation)
    set_stigmator = _awaited(Scope.set_stigmator)
    auto_focus = _awaited(Scope.auto_focus)

    acquire = _awaited(Scope.acquire)
    acquire_scan = _awaited(Scope.acquire_scan)
    acquire_camera = _awaited(Scope.acquire_camera)
    acquire_spectrum = _awaited(Scope.acquire_spectrum)
    scan = _awaited(Scope.scan)
    camera = _awaited(Scope.camera)
    spectrum = _awaited(Scope.spectrum)
    stream = _awaited(Scope.stream)
    abort_scan = _awaited(Scope.abort_scan)
    # What it gives is the same in both: its `receive` belongs into a thread.
    subscribe = _awaited(Scope.subscribe)

    lease = _awaited(Scope.lease)
    offer_lease = _awaited(Scope.offer_lease)
    interlocks = _awaited(Scope.interlocks)
    tighten_interlocks = _awaited(Scope.tighten_interlocks)

    @property
    def capabilities(self) -> Capabilities:
        """What the instrument can do."""
        return self.scope.capabilities

    @property
    def lease_lost(self) -> EucentricError | None:
        """See `SteeringClient.lease_lost`."""
        return self.scope.lease_lost

    @property
    def lease_remaining_s(self) -> float | None:
        """See `SteeringClient.lease_remaining_s`."""
        return self.scope.lease_remaining_s

    @asynccontextmanager
    async def control(self, *, reason: str, take_over: bool = False) -> AsyncIterator[Self]:
        """Hold the lease; see `SteeringClient.control`."""
        held = self.scope.control(reason=reason, take_over=take_over)
        await asyncio.to_thread(held.__enter__)
        try:
            yield self
        except BaseException as error:
            if not await asyncio.to_thread(held.__exit__, type(error), error, error.__traceback__):
                raise
        else:
            await asyncio.to_thread(held.__exit__, None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self.scope)

    def _repr_html_(self) -> str:
        # A notebook asks for it without await.
        return self.scope._repr_html_()


async def connect_async(*where: Any, **how: Any) -> AsyncScope:
    """Connect as `eucentric.connect` does, for asynchronous code."""
    return AsyncScope(await asyncio.to_thread(connect, *where, **how))
