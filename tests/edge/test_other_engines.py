"""An edge serves any engine that a bundle names; classes of a few-shot model change while it serves."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from eucentric_core import Lineage
from eucentric_edge import Installer, ModelSlot
from eucentric_edge._errors import SupportRefusedError
from eucentric_edge._trial_methods import with_other_classes
from eucentric_model_registry import BundleIdentity, build_and_sign_draft

from ..models.fewshot.scenes import CHIP_PX, chips_draft, scene
from .bundle_maker import BundleMaker, frame_of

LINEAGE = Lineage(datasets=("twin.s1",), code_version="0.1.0", trigger_id="t-1", policy="chips", run_id="r-1")


@pytest.fixture
def chips_bundle(tmp_path: Path, bundles: BundleMaker) -> Path:
    files = tmp_path / "draft"
    files.mkdir()
    folder = tmp_path / "chips-bundle"
    identity = BundleIdentity("atoms", 1, "textures", LINEAGE)
    build_and_sign_draft(folder, chips_draft(files), identity, bundles.signer)
    return folder


def test_chips_serve_and_their_classes_are_exchanged_without_another_network(
    chips_bundle: Path, installer: Installer, slot: ModelSlot, tmp_path: Path
) -> None:
    installer.install(chips_bundle, frame_shape=(6 * CHIP_PX, 3 * CHIP_PX))
    first = slot.model
    assert first is not None
    image = scene().image
    said = first.answer(frame_of(image, 1), received_s=time.perf_counter())
    assert [header.stream for header, _ in said.results] == ["detections", "class_map"]
    assert said.header.classes == ("a", "b", "none of these")
    assert said.array("class_map").size == len(said.array("detections"))

    for name, columns in (("lattice", 0), ("other", 3), ("film", 6)):
        place = tmp_path / "support" / name
        place.mkdir(parents=True)
        for row in range(3):
            chip = image[row * CHIP_PX :, columns * CHIP_PX :][:CHIP_PX, :CHIP_PX]
            np.save(place / f"{row}.npy", chip, allow_pickle=False)
    second = with_other_classes(slot, tmp_path / "support")
    assert slot.model is second
    assert second.model.encoder is first.model.encoder  # type: ignore[union-attr]
    said = second.answer(frame_of(image, 2), received_s=time.perf_counter())
    assert said.header.classes == ("film", "lattice", "other", "none of these")
    assert said.header.model_version == 1
    assert set(np.unique(said.array("class_map"))) <= {0, 1, 2, 3}


def test_classes_that_cannot_be_had_leave_those_that_are(
    chips_bundle: Path, installer: Installer, slot: ModelSlot, tmp_path: Path, bundles: BundleMaker
) -> None:
    with pytest.raises(SupportRefusedError, match="no model"):
        with_other_classes(slot, tmp_path)
    installer.install(chips_bundle, frame_shape=None)
    before = slot.model
    with pytest.raises(SupportRefusedError, match="keeps its classes"):
        with_other_classes(slot, tmp_path / "nowhere")
    assert slot.model is before
    installer.install(bundles.make(2), frame_shape=None)
    with pytest.raises(SupportRefusedError, match="atoms"):
        with_other_classes(slot, tmp_path)
