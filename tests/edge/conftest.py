"""What every test of the edge starts from."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch
import zmq

from eucentric_core.transport import StreamPublisher, find_free_port

from .bench import microscope
from .fixtures import bundles, installer, slot  # noqa: F401 - fixtures


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as context:
        yield context


@pytest.fixture
def agent_port() -> int:
    return find_free_port()


@pytest.fixture
def scope(context: zmq.Context[zmq.Socket[bytes]], agent_port: int) -> Iterator[StreamPublisher]:
    with microscope(context, agent_port) as publisher:
        yield publisher


_listeners: list[list[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "pickle.find_class":
        for listener in _listeners:
            listener.append(repr(arguments))


# An audit hook stays for the life of the interpreter; without a listener it does nothing.
sys.addaudithook(_hear)


@pytest.fixture
def unpickled() -> Iterator[list[str]]:
    """Every class that was looked up by pickle during the test."""
    heard: list[str] = []
    _listeners.append(heard)
    yield heard
    _listeners.remove(heard)
