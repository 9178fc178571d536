"""What runs in the process of a model: frames on one connection, everything that takes longer on another."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import TypeAdapter

from eucentric_core import EucentricError, give_way
from eucentric_models.engines import EngineModel, LiveAnswer, LiveModel, SupportedModel, live_answers

from .._backend_choice import BackendChoice
from .._beside_frames import beside_frames
from .._opener import HereOpener
from .._serving_model import ANALYSIS_FAILURES, warm_up_image
from .._steady import keep_steady
from ._array_block import ArrayBlock, ArrayPlace
from ._messages import (
    AsideReply,
    AsideRequest,
    LiveReply,
    LiveRequest,
    LogLine,
    Opened,
    OpenRequest,
    PlacedAnswer,
    SupportRequest,
)

__all__ = ["serve_model"]

_MAX_LOG_LINES = 100
_WARM_UPS = 2
_ASIDE: TypeAdapter[OpenRequest | SupportRequest] = TypeAdapter(AsideRequest)
_UNOPENED = "no model was opened in this process yet"


def serve_model(frames: Connection, aside: Connection, block: ArrayBlock) -> None:
    """Serve one model until the other end of `frames` is closed, by whom or whatever."""
    server = _ModelServer(block)
    threading.Thread(target=server.serve_aside, args=(aside,), name="aside", daemon=True).start()
    server.serve_frames(frames)
    # The memory of a model is given back by the system now, which nobody waits for.
    give_way(entirely=True)


class _ModelServer:
    def __init__(self, block: ArrayBlock) -> None:
        self._block = block
        self._heads: dict[int, EngineModel | LiveModel] = {}
        self._opened: Opened | None = None
        self._lines: deque[LogLine] = deque(maxlen=_MAX_LOG_LINES)
        logging.getLogger().addHandler(_Kept(self._lines))

    def serve_frames(self, connection: Connection) -> None:
        while (said := _received(connection)) is not None:
            connection.send_bytes(self._live_reply(said).model_dump_json().encode())

    def serve_aside(self, connection: Connection) -> None:
        while (said := _received(connection)) is not None:
            connection.send_bytes(self._aside_reply(said).model_dump_json().encode())

    def _live_reply(self, said: bytes) -> LiveReply:
        try:
            request = LiveRequest.model_validate_json(said)
            for head in request.forget:
                self._heads.pop(head, None)
            model = self._heads[request.head]
            images = [self._block.view(place) for place in request.images]
            live = live_answers(model, images, pixel_sizes_m=request.pixel_sizes_m)
            return LiveReply(answers=self._placed(live, request.images))
        except EucentricError as error:
            return LiveReply(error=error.report())
        except ANALYSIS_FAILURES as error:
            return LiveReply(failure=f"{type(error).__name__}: {error}"[:1000])

    def _placed(self, live: Sequence[LiveAnswer], given: Sequence[ArrayPlace]) -> tuple[PlacedAnswer, ...]:
        arrays = [array for answer in live for array in answer.arrays.values()]
        places = iter(self._block.put(arrays, after=given))
        return tuple(
            PlacedAnswer(
                arrays={name: next(places) for name in answer.arrays},
                mean_uncertainty=answer.mean_uncertainty,
                mean_entropy_nats=answer.mean_entropy_nats,
                entropy_ratio=answer.entropy_ratio,
                drift_score=answer.drift_score,
                stages_s=dict(answer.stages_s),
            )
            for answer in live
        )

    def _aside_reply(self, said: bytes) -> AsideReply:
        try:
            request = _ASIDE.validate_json(said)
            opened = self._open(request) if isinstance(request, OpenRequest) else self._support(request)
        except EucentricError as error:
            return AsideReply(error=error.report(), log=self._said())
        except (*ANALYSIS_FAILURES, OSError) as error:
            return AsideReply(failure=f"{type(error).__name__}: {error}"[:1000], log=self._said())
        return AsideReply(opened=opened, log=self._said())

    def _open(self, request: OpenRequest) -> Opened:
        import torch

        torch.set_num_threads(request.threads)
        choice = BackendChoice(request.backend, request.threads, request.batch, request.records)
        serving = HereOpener("cpu", choice).open(
            request.folder,
            request.manifest,
            frame_shape=request.frame_shape,
            pixel_size_m=request.pixel_size_m,
        )
        self._opened = Opened(
            head=0,
            description=serving.model.description,
            supported=isinstance(serving.model, SupportedModel),
            process_id=os.getpid(),
            takes=serving.takes,
            backend=serving.backend,
        )
        self._heads[0] = serving.model
        beside_frames(lambda: self._be_steady(request))
        return self._opened

    def _be_steady(self, request: OpenRequest) -> None:
        """Answer frames as they will come: what is touched for the first time costs 10 ms."""
        keep_steady(threads=request.threads)
        if request.frame_shape is None:
            return
        for _ in range(_WARM_UPS):
            live = LiveRequest(
                head=0,
                images=self._block.put([warm_up_image(request.frame_shape)]),
                pixel_sizes_m=(request.pixel_size_m,),
            )
            self._live_reply(live.model_dump_json().encode()).model_dump_json()

    def _support(self, request: SupportRequest) -> Opened:
        model, before = self._heads.get(request.head), self._opened
        if before is None:
            raise LookupError(_UNOPENED)
        changed = _with_support(model, request.path)
        opened = before.model_copy(update={"head": before.head + 1, "description": changed.description})
        self._heads[opened.head] = changed
        self._opened = opened
        return opened

    def _said(self) -> tuple[LogLine, ...]:
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return tuple(lines)


class _Kept(logging.Handler):
    """Keeps what is logged for the next reply: only the edge itself writes its log."""

    def __init__(self, lines: deque[LogLine]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(
            LogLine(logger=record.name, level=record.levelno, message=record.getMessage()[:2000])
        )


def _with_support(model: object, path: Path) -> EngineModel:
    if not isinstance(model, SupportedModel):
        raise LookupError(_UNOPENED)
    return model.with_support(path)


def _received(connection: Connection) -> bytes | None:
    try:
        return connection.recv_bytes()
    except (EOFError, OSError):
        return None
