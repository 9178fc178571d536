"""A Globus Compute endpoint as a program: the real engine between a queue of tasks and queues of results.

`python globus_compute_endpoint_process.py AMQP-ADDRESS ENDPOINT-ID FOLDER` says `ready`, and ends when its
input ends.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import uuid
from pathlib import Path

import pika
from globus_compute_common import messagepack
from globus_compute_common.messagepack.message_types import Task
from globus_compute_endpoint.engines import GlobusComputeEngine
from globus_compute_endpoint.engines.base import GCFuture
from parsl.launchers import SimpleLauncher
from parsl.providers import LocalProvider

_POLL_S = 0.02


def serve(amqp: str, endpoint: str, folder: Path) -> None:
    """Run tasks until this process's input ends."""
    programs = Path(sys.executable).parent
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    engine = GlobusComputeEngine(
        address="127.0.0.1",
        provider=LocalProvider(  # type: ignore[no-untyped-call]
            init_blocks=1, min_blocks=1, max_blocks=1, launcher=SimpleLauncher()
        ),
        max_workers_per_node=2,
        cores_per_worker=1e-3,
        heartbeat_period=2,
        heartbeat_threshold=12,
        encrypted=False,
        label="endpoint",
    )
    engine.start(endpoint_id=uuid.UUID(endpoint), run_dir=str(folder))
    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    connection = pika.BlockingConnection(pika.URLParameters(amqp))
    channel = connection.channel()
    channel.queue_declare(endpoint, durable=False)
    results: queue.Queue[tuple[str, bytes]] = queue.Queue()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        # One thread owns the connection; the engine's threads leave results in the queue.
        for method, properties, body in channel.consume(endpoint, inactivity_timeout=_POLL_S):
            if method is not None:
                _run(engine, properties.headers, body, results)
                channel.basic_ack(method.delivery_tag)
            while not results.empty():
                group, packed = results.get()
                channel.basic_publish("", group, packed)
            if over.is_set():
                break
    finally:
        connection.close()
        engine.shutdown()


def _run(
    engine: GlobusComputeEngine,
    headers: dict[str, str],
    body: bytes,
    results: queue.Queue[tuple[str, bytes]],
) -> None:
    task = messagepack.unpack(body)
    assert isinstance(task, Task)
    future = GCFuture(gc_task_id=task.task_id, function_id=uuid.UUID(headers["function"]))
    future.add_done_callback(lambda done: results.put((headers["group"], done.result())))
    engine.submit(future, body, {}, json.loads(headers["serializers"]))


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
