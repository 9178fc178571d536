"""A challenger sees the frames of the champion and is compared; it never answers and keeps to its share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from eucentric_core import BundleError
from eucentric_edge import Installer, ModelSlot
from eucentric_edge._shadow import Shadow, agreement

from .bundle_maker import BundleMaker, frame_of, image


@pytest.fixture
def shadow() -> Iterator[Shadow]:
    shadow = Shadow(0.5)
    running = threading.Thread(target=shadow.run)
    running.start()
    yield shadow
    shadow.stop()
    running.join(timeout=30)
    assert not running.is_alive()


def compare(shadow: Shadow, slot: ModelSlot, frames: int) -> dict[str, object]:
    """Let the champion answer until so many frames were compared."""
    deadline_s = time.monotonic() + 60
    sequence = 0
    while True:
        report = shadow.report()
        assert report is not None
        if int(str(report["frames"])) >= frames:
            return dict(report)
        assert time.monotonic() < deadline_s, report
        assert slot.model is not None
        frame = frame_of(image(sequence % 4), sequence)
        shadow.answered(frame, slot.model.answer(frame, received_s=time.perf_counter()))
        sequence += 1


def test_the_same_model_agrees_and_another_does_not(
    shadow: Shadow, bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    installer.install(bundles.make(1), frame_shape=None)
    state = installer.state
    assert shadow.report() is None
    shadow.challenge(slot.model)
    same = compare(shadow, slot, 3)
    assert (same["agreement"], same["failed"], same["model_version"]) == (1.0, 0, 1)

    shadow.challenge(installer.open_beside(bundles.make(2), frame_shape=(48, 40)))
    other = compare(shadow, slot, 3)
    assert other["model_version"] == 2
    assert float(str(other["agreement"])) < 0.99
    assert slot.model is not None
    assert slot.model.manifest.version == 1
    assert installer.state == state

    shadow.challenge(None)
    assert shadow.report() is None


def test_a_challenger_is_verified_like_a_champion(bundles: BundleMaker, installer: Installer) -> None:
    installer.install(bundles.make(1), frame_shape=None)
    offered = bundles.make(2)
    (offered / "member-0.safetensors").write_bytes(b"nothing")
    with pytest.raises(BundleError):
        installer.open_beside(offered, frame_shape=None)
    assert installer.install(bundles.make(2), frame_shape=None).version == 2


def test_frames_that_come_too_fast_are_forgotten_and_nobody_waits(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    # Nobody runs it: whatever is handed over beyond the first would have to wait.
    shadow = Shadow(0.2)
    installer.install(bundles.make(1), frame_shape=None)
    shadow.challenge(slot.model)
    assert slot.model is not None
    frame = frame_of(image(1), 1)
    answer = slot.model.answer(frame, received_s=time.perf_counter())
    for _ in range(1000):
        shadow.answered(frame, answer)
    report = shadow.report()
    assert report is not None
    assert report["frames"] == 0


def test_agreement_of_detections_is_their_f1() -> None:
    ours = np.array([[10, 10, 0, 0.9], [20, 20, 1, 0.9], [30, 30, 0, 0.9]], np.float32)
    near, kind = ours.copy(), ours.copy()
    near[:, 0] += 2
    kind[0, 2] = 1
    assert agreement(ours, ours) == 1
    assert agreement(ours, near) == 1
    assert agreement(ours, kind) == pytest.approx(2 / 3)
    assert agreement(ours, ours[:1]) == pytest.approx(0.5)
    assert agreement(ours[:0], ours[:0]) == 1
    assert agreement(ours, ours + np.float32(50)) == 0
    # Two of ours at one of theirs: it counts once.
    assert agreement(np.repeat(ours[:1], 2, axis=0), ours[:1]) == pytest.approx(2 / 3)


def test_agreement_of_other_arrays_is_the_share_of_like_values() -> None:
    spectra = np.linspace(0, 1, 200, dtype=np.float32).reshape(4, 50)
    changed = spectra.copy()
    changed[0] += 0.5
    assert agreement(spectra, spectra) == 1
    assert agreement(spectra, changed) == pytest.approx(0.75)
    assert agreement(spectra, spectra[:2]) == 0
