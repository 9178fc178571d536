"""A model is replaced between two frames: every answer is the old one's or the new one's, bit for bit."""

from __future__ import annotations

import threading
import time

import numpy as np

from eucentric_edge import FrameAnswer, Installer, ModelSlot

from .bundle_maker import SHAPE, BundleMaker, frame_of, image


def test_answers_during_installations_are_never_mixed(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    installer.install(bundles.make(1), frame_shape=SHAPE)
    published = [bundles.make(version) for version in (2, 3, 4)]
    installations: list[int] = []

    def install_all() -> None:
        installations.extend(installer.install(bundle, frame_shape=SHAPE).version for bundle in published)

    installing = threading.Thread(target=install_all)
    answers: list[FrameAnswer] = []
    installing.start()
    after_the_last = 20
    while after_the_last > 0:
        model = slot.model
        assert model is not None
        frame = frame_of(image(5), len(answers))
        answers.append(model.answer(frame, received_s=time.perf_counter()))
        after_the_last -= not installing.is_alive()
    installing.join()

    assert installations == [2, 3, 4]
    assert [answer.header.sequence for answer in answers] == list(range(len(answers)))
    versions = [answer.header.model_version for answer in answers]
    assert versions == sorted(versions)
    assert {1, 4} <= set(versions)
    right = {version: bundles.ensemble(version).infer(image(5)) for version in set(versions)}
    for answer in answers:
        expected = right[answer.header.model_version]
        assert answer.array("uncertainty").tobytes() == expected.deviation.astype(np.float16).tobytes()
        assert answer.header.mean_entropy_nats == expected.mean_entropy
    assert len({answer.array("detections").tobytes() for answer in answers}) == len(set(versions))
