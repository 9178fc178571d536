"""Graphs from elsewhere on every back end that computes such graphs: one contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from eucentric_models.backends import (
    BACKENDS,
    GRAPH_REFERENCE,
    BackendError,
    BackendUnavailableError,
    ForeignGraph,
    GraphBackend,
    open_graph,
)

from .spot_graph import graph, spots

NAMES = [backend.name for backend in BACKENDS if isinstance(backend, GraphBackend)]
LACKING = {each.name: reason for each in BACKENDS if (reason := each.unavailable()) is not None}


def images(seed: int = 0, *, rows: int = 40) -> NDArray[np.float32]:
    frame = spots(seed)[:rows]
    return np.ascontiguousarray(frame / frame.max(), np.float32)[np.newaxis, np.newaxis]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    if request.param in LACKING:
        pytest.skip(LACKING[request.param])
    return str(request.param)


@pytest.fixture
def opened(name: str) -> Iterator[ForeignGraph]:
    network = open_graph(name, graph())
    yield network
    network.close()


def expected(given: NDArray[np.float32]) -> NDArray[np.float32]:
    """One convolution, written out: every kernel is of one value."""
    padded = np.pad(given[0, 0], 1)
    ny, nx = given.shape[2:]
    near = sum(padded[y : y + ny, x : x + nx] for y in range(3) for x in range(3))
    return np.stack([2 * near - 6, 6 - 2 * near])[np.newaxis].astype(np.float32)


def test_it_answers_what_the_graph_says_at_any_shape(name: str, opened: ForeignGraph) -> None:
    # bfloat16 has 8 bits of mantissa.
    tolerance = 0.2 if name.endswith("bf16") else 1e-4
    for rows in (40, 24, 16, 32, 8, 40):
        given = images(rows=rows)
        said = opened.run(given)
        assert said.dtype == np.float32
        np.testing.assert_allclose(said, expected(given), atol=tolerance)


def test_answers_are_the_callers_own(opened: ForeignGraph) -> None:
    first = opened.run(images(1))
    kept = first.copy()
    opened.run(images(2))
    np.testing.assert_array_equal(first, kept)


def test_threads_share_it_and_each_gets_its_own_answer(opened: ForeignGraph) -> None:
    alone = {seed: opened.run(images(seed)) for seed in range(4)}
    wrong: list[int] = []

    def ask(seed: int) -> None:
        for _ in range(20):
            if not np.array_equal(opened.run(images(seed)), alone[seed]):
                wrong.append(seed)

    askers = [threading.Thread(target=ask, args=(seed,)) for seed in alone]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert wrong == []


def test_what_is_closed_answers_no_more(opened: ForeignGraph) -> None:
    opened.close()
    opened.close()
    with pytest.raises(BackendError, match="closed"):
        opened.run(images())


def test_a_graph_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BackendError):
        open_graph(name, b"no graph").run(images())


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_runtime_is_held_to_its_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    asked: list[int] = []
    session = onnxruntime.InferenceSession

    def noting(content: bytes, options: object, **rest: object) -> object:
        asked.append(options.intra_op_num_threads)  # type: ignore[attr-defined]
        return session(content, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noting)
    open_graph("onnxruntime", graph(), threads=threads).close()
    assert asked == [threads]


@pytest.mark.parametrize("other", ["torch", "torch-compile", "cuda"])
def test_back_ends_that_compute_no_such_graphs_say_so(other: str) -> None:
    with pytest.raises(BackendUnavailableError, match="no graphs from elsewhere"):
        open_graph(other, graph())


def test_the_reference_is_one_of_them() -> None:
    assert GRAPH_REFERENCE in NAMES
