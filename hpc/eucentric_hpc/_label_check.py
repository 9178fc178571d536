"""Labels that a trained ensemble does not believe: mislabelled data hide well in the average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eucentric_models import Decoding
from eucentric_models.networks import Ensemble

from ._evaluation import Judging, evaluate_ensemble
from ._training_set import TrainingSet

MOST_FRAMES = 12
"""More would cost time and say the same."""
_DOUBTED_SHARE = 0.05


def label_agreement(ensemble: Ensemble, data: TrainingSet, decoding: Decoding, judging: Judging) -> float:
    """Share of the labelled columns that the ensemble finds, with their class, in at most 12 of the frames.

    A network averages over its labels and does not learn each by heart, so it goes on contradicting those
    that are wrong although it was trained on them; 1 when there is no label.
    """
    rows = data.labelled[:: max(1, len(data.labelled) // MOST_FRAMES)][:MOST_FRAMES]
    return evaluate_ensemble(ensemble, data.subset(rows), decoding=decoding, judging=judging)["recall"]


def label_warnings(
    agreement: float, data: TrainingSet, n_classes: int, classes: Sequence[str]
) -> tuple[str, ...]:
    """Sentences about labels that are wrong or missing; empty when there is nothing to say."""
    warnings = []
    if agreement < 1 - _DOUBTED_SHARE:
        warnings.append(
            f"The ensemble contradicts {1 - agreement:.0%} of the labels that it was trained on: columns "
            "are labelled wrongly, or cannot be told apart in these frames. "
            "Look at them before it goes into service."
        )
    shown = {int(row) for truth in data.truths if truth is not None for row in np.unique(truth[:, 2])}
    absent = [classes[i] if i < len(classes) else str(i) for i in range(n_classes) if i not in shown]
    if absent:
        warnings.append(f"No training frame shows {', '.join(absent)}: the ensemble does not know it.")
    return tuple(warnings)
