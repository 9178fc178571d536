"""The websocket of the live image: the next frame goes out when the one before is drawn.

float32 seconds that the message waited here, little-endian · the message (see `_message.py`)
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from ..._hub import LiveHub
from ..._picture import Picture
from ._assets import asset_routes
from ._made_once import Choice, MessageMaker, state_of
from ._pace import least_interval_s

__all__ = ["MAX_VIEWERS", "live_routes"]

MAX_VIEWERS = 200
"""Of all instruments together; one more is refused."""

_LOOK_S = 0.01
_IDLE_S = 1.0
_DRAWN_TIMEOUT_S = 30.0


def live_routes(hubs: Mapping[str, LiveHub]) -> APIRouter:
    """Route `/live/INSTRUMENT/frames`, and what the browser needs to draw them."""
    router = APIRouter()
    router.include_router(asset_routes())
    viewers: set[_Viewer] = set()
    makers = {name: MessageMaker() for name in hubs}

    @router.websocket("/live/{instrument}/frames")
    async def frames(socket: WebSocket, instrument: str) -> None:
        hub = hubs.get(instrument)
        if hub is None or len(viewers) >= MAX_VIEWERS:
            await socket.close(1008)
            return
        await socket.accept()
        viewer = _Viewer(hub, makers[instrument], socket, lambda: least_interval_s(len(viewers)))
        viewers.add(viewer)
        try:
            await viewer.serve()
        finally:
            viewers.discard(viewer)

    return router


class _Viewer:
    """One browser's view. It is sent nothing while it has not drawn what it got."""

    def __init__(
        self, hub: LiveHub, maker: MessageMaker, socket: WebSocket, interval_s: Callable[[], float]
    ) -> None:
        self._hub = hub
        self._maker = maker
        self._socket = socket
        self._interval_s = interval_s
        self._choice = Choice()
        self._sent: object = None
        self._drawn = asyncio.Event()

    async def serve(self) -> None:
        """Until the browser goes, or draws nothing for too long."""
        sending = asyncio.create_task(self._send())
        try:
            await self._hear()
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, TimeoutError, RuntimeError):
                await sending

    async def _hear(self) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                text = await self._socket.receive_text()
                if text == "drawn":
                    self._drawn.set()
                    continue
                try:
                    self._choice = Choice.model_validate_json(text)
                except ValidationError:
                    await self._socket.close(1008)
                    return
                self._sent = None

    async def _send(self) -> None:
        told_s = 0.0
        while True:
            choice = self._choice
            picture = self._hub.picture(with_uncertainty=choice.uncertainty)
            wanted = None if picture is None else state_of(picture, choice)
            if picture is not None and wanted != self._sent:
                self._sent, began_s = wanted, time.monotonic()
                await self._show(picture, choice)
                told_s = time.monotonic()
                await asyncio.sleep(max(0.0, began_s + self._interval_s() - told_s))
            elif time.monotonic() - told_s >= _IDLE_S:
                told_s = time.monotonic()
                age_s = None if picture is None else told_s - picture.arrived_s
                await self._socket.send_json({"age_s": age_s})
            else:
                await asyncio.sleep(_LOOK_S)

    async def _show(self, picture: Picture, choice: Choice) -> None:
        message = await self._maker.made(picture, choice)
        self._drawn.clear()
        waited_s = time.monotonic() - message.made_s
        await self._socket.send_bytes(struct.pack("<f", waited_s) + message.content)
        try:
            await asyncio.wait_for(self._drawn.wait(), _DRAWN_TIMEOUT_S)
        except TimeoutError:
            # It stalls: its place is for others, and it connects again by itself when it goes on.
            await self._socket.close(1013)
            raise
