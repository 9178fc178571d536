"""Processes of flow runs: started warm, counted, ended."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..catalogue import FLOWS
from ._prepared import Prepared, prepared

__all__ = ["Child", "Children"]

_GRACE_S = 20.0
_AT_REST_S = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Child:
    """One process, and the flow run that it carries out."""

    flow_run_id: str
    process: BaseProcess


class Children:
    """Starts processes from one that has imported Prefect, the registry and all flows: 0.05 s, not 5 s.

    They outlive this process if it is killed; what they do is recorded as before. One more stands by with its
    workers, so that a flow run finds both there.

    Args:
        logs: folder for what they print, one file each.
        on_end: called in the event loop with the id of a flow run whose process has ended, and its exit code.
    """

    def __init__(self, logs: Path, on_end: Callable[[str, int | None], None]) -> None:
        self._logs = logs
        self._on_end = on_end
        self._running: dict[str, Child] = {}
        self._standing_by: Prepared | None = None
        self._began_s = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["eucentric_flows.launcher._process"])

    def __contains__(self, flow_run_id: object) -> bool:
        return flow_run_id in self._running

    def __len__(self) -> int:
        return len(self._running)

    async def start(self, flow: str, flow_run_id: str) -> None:
        """Have a process carry a flow run out. The first one waits until all is imported."""
        order = flow, flow_run_id, str(self._logs / "runs" / f"{flow_run_id}.log")
        taken, self._standing_by = self._standing_by, None
        if taken is None or not taken.give(*order):
            taken = await prepared(self._context, computes=FLOWS[flow].computes)
            taken.give(*order)
        self._began_s = time.monotonic()
        self._running[flow_run_id] = Child(flow_run_id, taken.process)
        self._idle.clear()
        asyncio.get_running_loop().add_reader(taken.process.sentinel, self._ended, flow_run_id)

    async def prepare(self) -> None:
        """Have a process stand by, unless one does or a flow run has only just begun: it goes first."""
        if self._standing_by is not None or time.monotonic() - self._began_s < _AT_REST_S:
            return
        try:
            self._standing_by = await prepared(self._context, computes=True)
        except (OSError, EOFError) as error:
            # A machine without memory for one more; the next flow run has its process forked when it comes.
            _log.warning("no process stands by: %s", error)

    async def warm_up(self) -> None:
        """Have the process that others are forked from import everything now."""
        process = self._context.Process(target=os.getpid, name="warm-up")
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(process.join)

    def _ended(self, flow_run_id: str) -> None:
        child = self._running.pop(flow_run_id)
        asyncio.get_running_loop().remove_reader(child.process.sentinel)
        child.process.join()
        if not self._running:
            self._idle.set()
        self._on_end(flow_run_id, child.process.exitcode)

    def end(self, flow_run_id: str, *, kill: bool = False) -> None:
        """Tell a process, and with `kill` all that it started, to end."""
        child = self._running.get(flow_run_id)
        if child is None or child.process.pid is None:
            return
        with suppress(ProcessLookupError):
            if kill:
                os.killpg(child.process.pid, signal.SIGKILL)
            else:
                os.kill(child.process.pid, signal.SIGTERM)

    async def end_all(self) -> None:
        """End every process; what does not end within 20 s is killed."""
        if self._standing_by is not None:
            await self._standing_by.dismiss()
            self._standing_by = None
        for flow_run_id in list(self._running):
            self.end(flow_run_id)
        await self._none_left()
        for flow_run_id in list(self._running):
            _log.error("the process of flow run %s did not end within %g s", flow_run_id, _GRACE_S)
            self.end(flow_run_id, kill=True)
        await self._none_left()

    async def _none_left(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _GRACE_S)
