"""Truth follows every change that is made to a crop, and stays where the change is none of its business."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from eucentric_hpc import Augmentation, CropSampler, MemberConfig, PseudoLabelling, pseudo_truth
from eucentric_hpc._losses import LOSSES
from eucentric_models import DEFAULT_DECODING, Decoding, NetworkSpec, decode, heat_maps
from eucentric_models.networks import Ensemble, build_network, weights_to_bytes

PLACES = np.array([[y, x, 0] for y in range(16, 200, 19) for x in range(16, 200, 23)], float)
NOTHING: dict[str, Any] = {"zoom": 0, "symmetry": False, "contrast": 0, "noise": 0}


def batch(**changes: Any) -> tuple[np.ndarray, np.ndarray]:
    image = heat_maps(PLACES, (210, 210), 1, sigma_px=3.0)[0]
    config = MemberConfig(
        steps=1,
        swa_fraction=0,
        batch_size=6,
        crop_px=96,
        augmentation=Augmentation(**{**NOTHING, **changes}),
    )
    images, targets, _ = CropSampler([image], [PLACES], 1, config, np.random.default_rng(3)).batch()
    return images, targets


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rotation_rad": 3.0},
        {"shear": 0.1},
        {"wobble_px": 3.0},
        {"zoom": 0.3, "rotation_rad": 1.0, "shear": 0.05, "wobble_px": 2.0, "symmetry": True},
    ],
)
def test_truth_follows_what_moves_the_columns(changes: dict[str, Any]) -> None:
    images, targets = batch(**changes)
    compared = 0
    for crop, target in zip(images, targets, strict=True):
        seen, wanted = decode(crop, Decoding(peak_sigma_px=3.0)), decode(target)
        inner = np.all((wanted.positions_px > 10) & (wanted.positions_px < 85), axis=1)
        apart = np.hypot(*np.moveaxis(wanted.positions_px[inner][:, None] - seen.positions_px[None], -1, 0))
        assert apart.min(axis=1).max() < 0.35
        compared += int(inner.sum())
    assert compared > 40


@pytest.mark.parametrize(
    "changes",
    [
        {"blur_px": 4.0},
        {"background": 2.0},
        {"speckle": 1.0},
        {"contrast": 0.3},
        {"noise": 0.2},
        {"row_jitter_px": 1.0},
    ],
)
def test_what_only_spoils_the_image_leaves_the_truth_alone(changes: dict[str, Any]) -> None:
    plain_images, _ = batch()
    images, targets = batch(**changes)
    assert not np.allclose(images, plain_images)
    assert np.isfinite(images).all()
    spacing = np.sort(np.unique(np.rint(decode(targets[0]).positions_px[:, 0])))
    assert set(np.diff(spacing)[1:-1]) <= {19.0}


def test_a_crop_that_a_rotation_would_take_out_of_a_small_frame_is_not_rotated() -> None:
    image = heat_maps(PLACES, (100, 100), 1, sigma_px=3.0)[0]
    config = MemberConfig(
        steps=1, swa_fraction=0, batch_size=4, crop_px=96, augmentation=Augmentation(rotation_rad=3.0)
    )
    images, _, _ = CropSampler([image], [PLACES], 1, config, np.random.default_rng(0)).batch()
    assert np.isfinite(images).all()


def test_bounds_that_make_no_sense_are_refused() -> None:
    for change in ({"shear": 2.0}, {"blur_px": -1.0}, {"rotation_rad": 7.0}, {"typo": 1}):
        with pytest.raises(ValidationError):
            Augmentation.model_validate(change)


def test_both_losses_prefer_the_right_answer_and_the_focal_one_forgives_the_nearly_right() -> None:
    import torch

    targets = torch.tensor([[[[0.0, 1.0]]]])
    weights = torch.ones_like(targets)
    right, nearly, wrong = (torch.tensor([[[[-a, a]]]]) for a in (6.0, 2.0, -2.0))
    for loss in LOSSES.values():
        assert loss(right, targets, weights) < loss(nearly, targets, weights) < loss(wrong, targets, weights)
    share = {
        name: float(loss(nearly, targets, weights) / loss(wrong, targets, weights))
        for name, loss in LOSSES.items()
    }
    assert share["focal"] < share["bce"] / 5


def test_a_champion_asked_in_all_orientations_answers_the_same_for_a_turned_frame() -> None:
    spec = NetworkSpec(n_classes=1, base_filters=8, depth=1, stem_factor=2)
    import torch

    champion = Ensemble(spec, [weights_to_bytes(build_network(spec, torch.Generator().manual_seed(3)))])
    frame = np.random.default_rng(0).random((64, 64))
    rule = PseudoLabelling(confidence_bound=1e-3, smallest_sure_share=0, symmetries=True)
    low = DEFAULT_DECODING.model_copy(update={"threshold": 1e-4})
    one, other = (pseudo_truth(champion, image, low, rule) for image in (frame, np.rot90(frame)))
    assert one is not None
    assert other is not None
    turned = np.stack([63 - one[:, 1], one[:, 0]], axis=1)
    assert len(one) == len(other) > 3
    apart = np.hypot(*np.moveaxis(turned[:, None] - other[None, :, :2], -1, 0)).min(axis=1)
    assert np.median(apart) < 0.05
