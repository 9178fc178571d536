"""The first training set of a material, simulated."""

from __future__ import annotations

import numpy as np

from eucentric_models import StartConditions, simulate_frames

from ._augmentation import Augmentation
from ._member_config import MemberConfig
from ._training_set import TrainingSet

DEMO_START_TRAINING = MemberConfig(
    steps=170,
    batch_size=8,
    crop_px=96,
    learning_rate=1e-2,
    swa_fraction=0.2,
    augmentation=Augmentation(zoom=0.05, contrast=0.1, noise=0.05),
)
"""Budget of a member's first training in the demonstration."""

DEMO_RETRAINING = DEMO_START_TRAINING.model_copy(update={"steps": 110, "learning_rate": 6e-3})
"""Budget of a member's retraining, warm-started from the champion, in the demonstration."""


def start_training(conditions: StartConditions) -> MemberConfig:
    """Recipe of a member's first training on the start data of these conditions."""
    recipe = DEMO_START_TRAINING.fitted_to(conditions.network, conditions.decoding)
    return MemberConfig.model_validate({**recipe.model_dump(), "steps": conditions.start_steps})


def simulated_start_data(conditions: StartConditions, rng: np.random.Generator) -> TrainingSet:
    """Frames and truth scattered around the initial conditions."""
    frames = simulate_frames(
        conditions.material,
        conditions.initial,
        conditions.start_frames,
        conditions.shape,
        rng,
        spread=conditions.start_spread,
    )
    return TrainingSet(
        tuple(frame.frame for frame in frames),
        tuple(frame.truth for frame in frames),
        tuple(frame.conditions.pixel_size_m for frame in frames),
    )
