"""An executor that comes up in the background while its owner still waits for data."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from eucentric_core import Settings

__all__ = ["warm_executor"]


@contextmanager
def warm_executor(settings: Settings, run_dir: Path) -> Iterator[Future[Executor]]:
    """Start opening the executor now; whoever needs it waits for the future's result.

    Workers import what training needs before there is anything to train. The end of the context waits for
    what runs; after an exception it is ended.
    """
    with ExitStack() as opened, ThreadPoolExecutor(1, thread_name_prefix="executor-start") as starter:
        yield starter.submit(_open_warm, settings, run_dir, opened)


def _open_warm(settings: Settings, run_dir: Path, opened: ExitStack) -> Executor:
    from eucentric_hpc import open_executor, select_members

    globus = settings.globus.within(settings.home)
    executor = opened.enter_context(open_executor(settings.hpc, run_dir, globus=globus))
    for _ in range(settings.hpc.workers):
        # Any function of the room will do: to find it, a worker imports the room.
        executor.submit(select_members, [1.0], 0.0)
    return executor
