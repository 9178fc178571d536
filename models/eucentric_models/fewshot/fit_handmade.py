"""Make the reference of the hand-made features: their statistics over simulated textures.

``python -m eucentric_models.fewshot.fit_handmade --output FILE`` takes less than a minute of one core and
depends on nothing but the seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._handmade import HandmadeReference, raw_features
from .textures import EpisodeSpec, draw_episode

SEED = 7
EPISODES = 30
SPEC = EpisodeSpec()
_SHRINKAGE = 0.03
"""Part of the mean scatter that every direction is given: chosen on other simulated textures."""


def fit_reference(
    *, seed: int = SEED, episodes: int = EPISODES, spec: EpisodeSpec = SPEC
) -> HandmadeReference:
    """Mean, deviation and metric of the features over the chips of some episodes.

    The metric is the inverse square root of the scatter within textures, shrunk (as in linear discriminant
    analysis): what differs between two places of one texture counts little.

    Args:
        seed: of the textures.
        episodes: how many.
        spec: of each episode.
    """
    drawn = [draw_episode(spec, np.random.default_rng((seed, index))) for index in range(episodes)]
    features = raw_features(np.concatenate(drawn).reshape(-1, spec.chip_px, spec.chip_px))
    plain = HandmadeReference(
        features.mean(axis=0), features.std(axis=0), np.eye(features.shape[1], dtype=np.float32)
    )
    by_texture = plain.standardised(features).reshape(-1, spec.chips_per_class, features.shape[1])
    return HandmadeReference(plain.mean, plain.scale, _whitening(by_texture.astype(np.float64)))


def main(words: list[str] | None = None) -> int:
    """Write the reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="safetensors file")
    options = parser.parse_args(words)
    options.output.write_bytes(fit_reference().to_bytes())
    return 0


def _whitening(by_texture: NDArray[np.float64]) -> NDArray[np.float32]:
    """Inverse square root of the scatter within textures, from (textures, chips, m) features."""
    textures, chips, size = by_texture.shape
    residuals = (by_texture - by_texture.mean(axis=1, keepdims=True)).reshape(-1, size)
    scatter = residuals.T @ residuals / (textures * (chips - 1))
    values, vectors = np.linalg.eigh(scatter + _SHRINKAGE * np.trace(scatter) / size * np.eye(size))
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    return (inverse / np.sqrt(np.mean(inverse**2) * size)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
