"""What processes of models are forked from: it has imported what they need, and does nothing else."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import socket
from multiprocessing.connection import Connection
from types import FrameType
from typing import Never

__all__ = ["DEVICES", "run_nursery"]

DEVICES = {b"c": "cpu", b"g": "cuda"}
"""What it says first: where this machine computes."""

_HEAVY = ("torch", "onnx", "onnxruntime", "openvino")


def run_nursery(control: socket.socket) -> None:
    """Fork a process for each request until the other end is closed; then all of them are ended.

    A request is one byte with three descriptors: frames, aside, memory. One thread runs here and nothing is
    computed, so that a fork is whole.

    Args:
        control: to the edge, a Unix stream socket.
    """
    # The edge says when it is over, by closing its end; a terminal or a service manager tells the edge.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    children: set[int] = set()

    def reap(number: int, frame: FrameType | None) -> None:
        for pid in tuple(children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                children.discard(pid)

    signal.signal(signal.SIGCHLD, reap)
    _import_all()
    try:
        control.sendall(next(byte for byte, name in DEVICES.items() if name == _device()))
    except BrokenPipeError:
        return  # the edge is over already
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, 1, 3)
        if not asked:
            break
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            control.close()
            _be_model(descriptors)
        children.add(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        for descriptor in descriptors:
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _be_model(descriptors: list[int]) -> Never:
    # Whatever happens here, this must not return into the loop of the nursery.
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        from ._array_block import ArrayBlock
        from ._model_server import serve_model

        frames, aside, memory = descriptors
        serve_model(Connection(frames), Connection(aside), ArrayBlock(memory))
        status = 0
    finally:
        os._exit(status)


def _import_all() -> None:
    import eucentric_models.backends
    import eucentric_models.networks  # noqa: F401 - for those that are forked

    from . import _model_server  # noqa: F401 - the same

    for name in _HEAVY:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    if importlib.util.find_spec("openvino") is not None:
        # Its plugins are libraries of their own, which are looked for and loaded when first asked for.
        openvino = importlib.import_module("openvino")
        openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    # What is here is shared with all that are forked, as long as nobody writes to it: not even the collector.
    gc.collect()
    gc.freeze()


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
