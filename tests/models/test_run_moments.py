"""What holds the interpreter waits for a moment in which another thread computes without it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from eucentric_models import NetworkSpec
from eucentric_models._run_moments import RUNS, RunMoments
from eucentric_models.backends import EnsembleSource, backend_named
from eucentric_models.networks import build_network

_PATIENCE_S = 60.0


def test_where_nothing_runs_nobody_waits() -> None:
    assert not RunMoments().wait_next(_PATIENCE_S)


def test_the_thread_that_runs_does_not_wait_for_itself() -> None:
    moments = RunMoments()
    moments.begin()
    assert not moments.wait_next(_PATIENCE_S)


def test_it_goes_on_when_another_thread_begins_its_next_run() -> None:
    moments, begun, over = RunMoments(), threading.Event(), threading.Event()

    def run() -> None:
        while not over.is_set():
            moments.begin()
            begun.set()

    runner = threading.Thread(target=run)
    runner.start()
    try:
        assert begun.wait(_PATIENCE_S)
        assert moments.wait_next(_PATIENCE_S)
    finally:
        over.set()
        runner.join()


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_dropped_ensemble_is_given_back_in_such_a_moment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = backend_named(name)
    if reason := backend.unavailable():
        pytest.skip(reason)
    spec = NetworkSpec(n_classes=1, base_filters=4, depth=1, stem_factor=2)
    source = EnsembleSource.of_networks([build_network(spec, torch.Generator().manual_seed(0)).eval()])
    asked: list[str] = []
    monkeypatch.setattr(RUNS, "begin", lambda: asked.append("begin"))
    monkeypatch.setattr(RUNS, "wait_next", lambda timeout_s: asked.append("wait"))
    compiled = backend.compile(source, shape=(16, 16))
    # Some of the compiling waits for such moments, too.
    asked.clear()
    compiled.run(np.zeros((1, 16, 16), np.float32))
    del compiled
    assert asked == ["begin", "wait"]
    closed = backend.compile(source, shape=(16, 16))
    asked.clear()
    closed.close()
    closed.close()
    del closed
    assert asked == ["wait"]
