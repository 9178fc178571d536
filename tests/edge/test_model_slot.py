"""The model in service is replaced between two frames, and no frame gives back the memory of the old one."""

from __future__ import annotations

import threading

from eucentric_edge import Installer, ModelSlot

from .bundle_maker import BundleMaker


def test_what_is_replaced_is_returned_when_the_frame_under_way_is_done(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    installer.install(bundles.make(1), frame_shape=None)
    first = slot.model
    assert first is not None
    answering, answered = threading.Event(), threading.Event()
    seen: list[int | None] = []

    def answer() -> None:
        with slot.lent() as model:
            answering.set()
            assert answered.wait(30)
            seen.append(None if model is None else model.manifest.version)

    frame = threading.Thread(target=answer)
    frame.start()
    assert answering.wait(30)
    other = first.with_model(first.model)
    assert slot.replace(other) is first
    assert slot.model is other
    assert not slot.wait_returned(first, timeout_s=0.01)
    answered.set()
    assert slot.wait_returned(first, timeout_s=30)
    frame.join()
    assert seen == [1]


def test_an_empty_slot_lends_nothing(slot: ModelSlot) -> None:
    with slot.lent() as model:
        assert model is None


def test_an_installation_lets_go_of_the_old_model_itself(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    installer.install(bundles.make(1), frame_shape=None)
    answering, installed = threading.Event(), threading.Event()
    versions: list[int] = []

    def answer() -> None:
        with slot.lent() as model:
            assert model is not None
            versions.append(model.manifest.version)
            answering.set()
            # The new one serves while this frame is still under way with the old one.
            while slot.model is model:
                assert not installed.wait(0.001)

    frame = threading.Thread(target=answer)
    frame.start()
    assert answering.wait(30)
    assert installer.install(bundles.make(2), frame_shape=None).version == 2
    installed.set()
    frame.join()
    assert versions == [1]
