"""What held-out frames decide about decoding: threshold, confidences, and how noisy positions are."""

from __future__ import annotations

import numpy as np

from eucentric_models import Calibration, Decoding, fit_calibration, fit_lattice_prior
from eucentric_models.networks import Ensemble

from ._evaluation import DEFAULT_JUDGING, Judging, judged, looked_at
from ._training_set import TrainingSet

_THRESHOLDS = np.round(np.arange(0.15, 0.91, 0.01), 2)
_AS_GOOD = 5e-4


def with_best_threshold(
    ensemble: Ensemble, data: TrainingSet, *, decoding: Decoding, judging: Judging = DEFAULT_JUDGING
) -> Decoding:
    """The decoding with the threshold of the highest F1 on the labelled frames of a set.

    Where many thresholds are as good, as on easy frames, it is the middle one of them: farthest from both
    mistakes.

    Args:
        ensemble: the model.
        data: frames that it was not trained on; those without truth are left out.
        decoding: separation; what it says of threshold and calibration is replaced.
        judging: tolerance and border.
    """
    plain = decoding.model_copy(update={"calibration": Calibration(), "threshold": float(_THRESHOLDS[0])})
    score, height, correct, _ = looked_at(ensemble, data, plain, judging)
    kept = height[None] >= _THRESHOLDS[:, None]
    right, said = (kept & correct).sum(axis=1), kept.sum(axis=1)
    demanded = score.micro.true_positives + score.micro.false_negatives
    if not demanded or not right.any():
        return decoding
    f1 = 2 * right / (said + demanded)
    as_good = _THRESHOLDS[f1 >= f1.max() - _AS_GOOD]
    return decoding.model_copy(update={"calibration": Calibration(), "threshold": float(np.median(as_good))})


def calibrated(
    ensemble: Ensemble, data: TrainingSet, *, decoding: Decoding, judging: Judging = DEFAULT_JUDGING
) -> Decoding:
    """The decoding with confidences that keep their word on the labelled frames of a set.

    Args:
        ensemble: the model.
        data: frames that it was not trained on; those without truth are left out.
        decoding: threshold and separation; what it says of calibration is replaced.
        judging: tolerance and border.
    """
    plain = decoding.model_copy(update={"calibration": Calibration()})
    confidence, correct = looked_at(ensemble, data, plain, judging)[1:3]
    return plain.model_copy(update={"calibration": fit_calibration(confidence, correct)})


def with_lattice_prior(
    ensemble: Ensemble, data: TrainingSet, *, decoding: Decoding, judging: Judging = DEFAULT_JUDGING
) -> Decoding:
    """The decoding with a lattice prior that knows how far off its positions are in the frames of a set.

    Args:
        ensemble: the model.
        data: frames that it was not trained on; those without truth, or at another pixel size than the
            network's, are left out.
        decoding: threshold and separation; what it says of a prior is replaced.
        judging: tolerance and border.
    """
    plain = decoding.model_copy(update={"lattice_prior": None})
    powers, variances_px2 = [], []
    for index in data.labelled:
        frame, pixel_size_m = data.frames[index], data.pixel_sizes_m[index]
        inference = ensemble.infer(frame, pixel_size_m=pixel_size_m)
        if inference.scale != 1:
            continue
        score = judged(inference.detections(plain), data, int(index), ensemble.spec.n_classes, judging).score
        if score.position_rmse_m is not None:
            powers.append(inference.noise_power)
            # The error is that of two axes together.
            variances_px2.append((score.position_rmse_m / pixel_size_m) ** 2 / 2)
    prior = fit_lattice_prior(np.array(powers), np.array(variances_px2))
    return plain.model_copy(update={"lattice_prior": prior})
