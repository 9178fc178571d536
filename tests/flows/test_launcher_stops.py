"""A flow service that is told to stop does so, also while Prefect says nothing any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prefect.client.orchestration import PrefectClient

from eucentric_core import load_settings
from eucentric_flows import RunRecord, runs_path
from eucentric_flows.launcher import Launcher

# Prefect's client alone waits a minute for each of six answers.
FAR_LESS_THAN_THAT_S = 45.0


async def stop_beside_a_silent_server(home: Path) -> None:
    settings = load_settings(flags={"home": str(home)}, environment={})
    asked, close = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await close.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    runs_path(settings).parent.mkdir(parents=True, exist_ok=True)
    with RunRecord(runs_path(settings)) as record:
        launcher = Launcher(settings, PrefectClient(f"http://127.0.0.1:{port}/api"), {}, record)
        stopping = asyncio.Event()
        running = asyncio.create_task(launcher.run(stopping))
        await asked.wait()
        stopping.set()
        await asyncio.wait_for(running, FAR_LESS_THAN_THAT_S)
    close.set()
    server.close()
    await server.wait_closed()


def test_a_stop_does_not_wait_for_prefect(tmp_path: Path) -> None:
    asyncio.run(stop_beside_a_silent_server(tmp_path))
