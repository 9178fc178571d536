"""A data channel that a test publishes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from eucentric_core.transport import DataServer, StreamPublisher

__all__ = ["data_channel"]


@contextmanager
def data_channel(
    context: zmq.Context[zmq.Socket[bytes]], port: int, name: str, *, host: str = "127.0.0.1"
) -> Iterator[StreamPublisher]:
    """Serves what is published on what it yields, under a name of its own within the context."""
    endpoint = f"inproc://{name}"
    server = DataServer(host=host, port=port, ingest_endpoint=endpoint, context=context)
    serving = threading.Thread(target=server.serve)
    serving.start()
    publisher = StreamPublisher(endpoint, context=context)
    try:
        yield publisher
    finally:
        publisher.close()
        server.stop()
        serving.join()
