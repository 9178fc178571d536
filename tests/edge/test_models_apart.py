"""Models in processes of their own: the same answers as here, and what happens when such a process ends."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import zmq

from eucentric_core import BundleError, EucentricError
from eucentric_core.transport import StreamPublisher
from eucentric_edge import (
    FrameRefusedError,
    HereOpener,
    Installer,
    KeyTrust,
    ModelLostError,
    ModelOpener,
    ModelSlot,
    ServingModel,
)
from eucentric_edge._backend_choice import BackendChoice
from eucentric_edge.apart import ArrayBlock, Nursery
from eucentric_models import Decoding

from .bench import Edge, publish, publish_until_answered
from .bundle_maker import SHAPE, BundleMaker, frame_of, image

_PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery(BackendChoice())
    yield nursery
    nursery.close()


@pytest.fixture(params=["here", "apart"])
def opener(request: pytest.FixtureRequest, nursery: Nursery) -> ModelOpener:
    return HereOpener("cpu") if request.param == "here" else nursery


@pytest.fixture
def installed(tmp_path: Path, bundles: BundleMaker, slot: ModelSlot) -> Callable[[ModelOpener], Installer]:
    def install(opener: ModelOpener) -> Installer:
        trust = KeyTrust(bundles.trusted)
        installer = Installer(tmp_path / "edge", trust, model_name="atoms", slot=slot, opener=opener)
        installer.install(bundles.make(1), frame_shape=SHAPE)
        return installer

    return install


def _served(slot: ModelSlot) -> ServingModel:
    assert slot.model is not None
    return slot.model


def _uncertainty(model: ServingModel, array: np.ndarray) -> np.ndarray:
    return model.answer(frame_of(array, 0), received_s=time.perf_counter()).array("uncertainty")


def _until(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def _forked(process_id: int) -> list[psutil.Process]:
    """Processes of models, whose parent is the nursery of this process."""
    nurseries = psutil.Process(process_id).children()
    return [
        child for each in nurseries if "eucentric_edge.apart" in each.cmdline() for child in each.children()
    ]


def test_it_answers_as_the_network_of_its_bundle(
    opener: ModelOpener, installed: Callable[[ModelOpener], Installer], slot: ModelSlot, bundles: BundleMaker
) -> None:
    installed(opener)
    said = _served(slot).answer(frame_of(image(77), 5), received_s=time.perf_counter())
    expected = bundles.ensemble(1).infer(image(77))
    found = expected.detections(Decoding(threshold=0.01)).rows
    assert np.allclose(np.asarray(said.array("uncertainty"), np.float32), expected.deviation, atol=2e-3)
    assert np.allclose(np.asarray(said.array("detections"), np.float32), found, rtol=0, atol=2e-3)
    assert (said.header.sequence, said.header.model_version, said.header.backend) == (5, 1, "torch")
    assert {"waiting", "network", "decoding"} <= set(said.header.stages_s)


def test_a_frame_that_cannot_be_analysed_is_refused_and_the_next_one_answered(
    opener: ModelOpener, installed: Callable[[ModelOpener], Installer], slot: ModelSlot
) -> None:
    installed(opener)
    model = _served(slot)
    with pytest.raises(EucentricError, match="NaN"):
        _uncertainty(model, np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(FrameRefusedError, match="3 dimensions"):
        _uncertainty(model, np.zeros((2, 3, 4), np.float32))
    assert _uncertainty(model, image(3)).shape == SHAPE
    assert _uncertainty(model, np.tile(image(3), (5, 7))).shape == (240, 280)


def test_a_model_that_misses_its_golden_chips_is_refused_and_the_old_one_serves(
    opener: ModelOpener, installed: Callable[[ModelOpener], Installer], slot: ModelSlot, bundles: BundleMaker
) -> None:
    installer = installed(opener)
    wrong = bundles.make(2)
    for member in bundles.make(3).glob("member-*.safetensors"):
        shutil.copy(member, wrong)
    bundles.resign(wrong)
    with pytest.raises(BundleError, match="away from what was signed"):
        installer.install(wrong, frame_shape=SHAPE)
    assert _served(slot).manifest.version == 1
    assert _uncertainty(_served(slot), image(3)).shape == SHAPE


def test_many_threads_get_their_own_answers(
    nursery: Nursery, installed: Callable[[ModelOpener], Installer], slot: ModelSlot
) -> None:
    installed(nursery)
    model = _served(slot)
    images = [image(seed) for seed in range(4)]
    alone = [_uncertainty(model, each) for each in images]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda turn: _uncertainty(model, images[turn % 4]), range(40)))
    for turn, answer in enumerate(together):
        np.testing.assert_array_equal(answer, alone[turn % 4])


def test_a_model_whose_process_was_killed_is_opened_anew(
    installed: Callable[[ModelOpener], Installer], slot: ModelSlot
) -> None:
    nursery = Nursery(BackendChoice())
    try:
        installer = installed(nursery)
        lost, before = _served(slot), _uncertainty(_served(slot), image(3))
        (process,) = psutil.Process(nursery.process_id).children()
        process.kill()
        with pytest.raises(ModelLostError):
            _uncertainty(lost, image(3))
        assert installer.restore(lost, frame_shape=SHAPE) == ()
        np.testing.assert_array_equal(_uncertainty(_served(slot), image(3)), before)
        found = _served(slot)
        assert installer.restore(lost, frame_shape=SHAPE) == ()
        assert _served(slot) is found
    finally:
        nursery.close()


def test_a_model_whose_process_hangs_is_killed_and_opened_anew(
    installed: Callable[[ModelOpener], Installer], slot: ModelSlot
) -> None:
    nursery = Nursery(BackendChoice(), patience_s=6)
    try:
        installer = installed(nursery)
        lost, before = _served(slot), _uncertainty(_served(slot), image(3))
        (hung,) = psutil.Process(nursery.process_id).children()
        hung.suspend()
        with pytest.raises(ModelLostError, match="within 6 s and was killed"):
            _uncertainty(lost, image(3))
        _until(lambda: not hung.is_running())
        assert installer.restore(lost, frame_shape=SHAPE) == ()
        np.testing.assert_array_equal(_uncertainty(_served(slot), image(3)), before)
    finally:
        nursery.close()


def test_a_version_that_was_damaged_meanwhile_gives_way_to_the_one_before(
    nursery: Nursery, installed: Callable[[ModelOpener], Installer], slot: ModelSlot, bundles: BundleMaker
) -> None:
    installer = installed(nursery)
    installer.install(bundles.make(2), frame_shape=SHAPE)
    weights = next(installer.folder_in_service.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    (refused,) = installer.restore(_served(slot), frame_shape=SHAPE)
    assert "member" in str(refused)
    assert _served(slot).manifest.version == 1


def test_a_nursery_that_was_killed_is_started_again(
    installed: Callable[[ModelOpener], Installer], slot: ModelSlot, bundles: BundleMaker
) -> None:
    nursery = Nursery(BackendChoice())
    try:
        installer = installed(nursery)
        for each in psutil.Process().children():
            if each.pid == nursery.process_id:
                each.kill()
        installer.install(bundles.make(2), frame_shape=SHAPE)
        assert _uncertainty(_served(slot), image(3)).shape == SHAPE
    finally:
        nursery.close()


def test_a_model_that_is_no_longer_needed_takes_its_process_with_it(
    installed: Callable[[ModelOpener], Installer], slot: ModelSlot, bundles: BundleMaker
) -> None:
    nursery = Nursery(BackendChoice())
    try:
        installer = installed(nursery)
        (first,) = psutil.Process(nursery.process_id).children()
        installer.install(bundles.make(2), frame_shape=SHAPE)
        _until(lambda: not first.is_running())
        assert len(psutil.Process(nursery.process_id).children()) == 1
    finally:
        nursery.close()


def test_no_frame_is_lost_when_the_process_of_the_model_is_killed(
    tmp_path: Path,
    bundles: BundleMaker,
    agent_port: int,
    scope: StreamPublisher,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    edge = Edge(tmp_path / "home", bundles.trusted, agent_port)
    with edge.running(context) as process:
        edge.call("install", folder=str(bundles.make(1)))
        begin = publish_until_answered(edge, scope, lambda number: frame_of(image(5), number))
        for turn in range(3):
            publish(scope, frame_of(image(5), begin + 2 * turn))
            # The one that was killed before may not have been waited for yet.
            _until(lambda: len(_forked(process.pid)) == 1)
            (model,) = _forked(process.pid)
            model.kill()
            publish(scope, frame_of(image(5), begin + 2 * turn + 1))
            edge.listen_until(begin + 2 * turn + 1)
        status = edge.status()
    answered = [header.sequence for header, _ in edge.results if header.stream == "detections"]
    assert answered == list(range(answered[0], begin + 6))
    assert (status["frames_refused"], status["sequence_gaps"], status["model_version"]) == (0, 0, 1)


def test_both_ends_of_a_block_see_the_same_and_it_grows() -> None:
    ours = ArrayBlock.create()
    theirs = ArrayBlock(os.dup(ours.fileno()))
    small = np.arange(6, dtype=np.uint16).reshape(2, 3)
    (place,) = ours.put([small])
    np.testing.assert_array_equal(theirs.view(place), small)
    large: list[np.ndarray] = [np.random.default_rng(0).normal(size=(700, 500)), np.empty((0, 4), np.float32)]
    places = theirs.put(large, after=[place])
    np.testing.assert_array_equal(ours.view(places[0]), large[0])
    assert ours.view(places[1]).shape == (0, 4)
    np.testing.assert_array_equal(ours.view(place), small)
    with pytest.raises(ValueError, match="numbers"):
        ours.put([np.array([{}], np.object_)])
