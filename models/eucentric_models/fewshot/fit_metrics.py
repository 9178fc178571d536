"""Make what the shipped encoders know of simulated specimens: metrics and typical distances.

``python -m eucentric_models.fewshot.fit_metrics --network TRAINED/ --output DIR`` depends on nothing but the
trained network and the seeds. Chips of one class that lie far apart in an image differ by thickness, damage,
focus and bending: directions in which they do are made to count less, for the network by folding the metric
into its last layer.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ._encoder import CombinedEncoder, unit_rows
from ._encoder_training import EncoderTraining, mean_held_out
from ._encoders import DEFAULT_ENCODER, DEFAULT_WEIGHTS, open_encoder
from ._handmade import REFERENCE_FILE, HandmadeReference, raw_features
from ._prototypes import PrototypeClassifier
from ._survey import PLACINGS, Survey
from ._texture_encoder import TextureEncoder
from ._texture_network import TextureNetwork
from ._texture_weights import EncoderCard, read_blob, read_card, read_weights, write_weights
from ._typical_distance import DISTANCES_FILE, LEVELS, OWN_SHARE, TypicalDistances, read_distances
from .textures import EpisodeSpec, draw_episode

STATISTICS_SEED, EPISODES, SPEC = 7, 30, EpisodeSpec()
SURVEY_SEED, SURVEYS = 101, 100
HANDMADE_SHRINKAGE, NETWORK_SHRINKAGE = 0.03, 0.1
"""Parts of the mean scatter that every direction is given: chosen on other simulated images."""

_FEWEST_CHIPS = 6
_LOG = logging.getLogger("eucentric.fit_metrics")


def fit_statistics(
    *, seed: int = STATISTICS_SEED, episodes: int = EPISODES, spec: EpisodeSpec = SPEC
) -> HandmadeReference:
    """Mean and deviation of the hand-made features over the chips of some episodes; no metric yet.

    Args:
        seed: of the textures.
        episodes: how many.
        spec: of each episode.
    """
    drawn = [draw_episode(spec, np.random.default_rng((seed, index))) for index in range(episodes)]
    features = raw_features(np.concatenate(drawn).reshape(-1, spec.chip_px, spec.chip_px))
    return HandmadeReference(
        features.mean(axis=0), features.std(axis=0), np.eye(features.shape[1], dtype=np.float32)
    )


def whitening(
    vectors: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.intp]], shrinkage: float
) -> NDArray[np.float32]:
    """(d, d) inverse square root of the scatter within the regions of images, every region alike.

    Args:
        vectors: (n, d) of the chips of each image.
        truths: (n,) region of each chip of each image, -1 for none.
        shrinkage: part of the mean scatter that every direction is given.
    """
    size = vectors[0].shape[1]
    scatter, regions = np.zeros((size, size)), 0
    for of_image, truth in zip(vectors, truths, strict=True):
        for region in range(int(truth.max()) + 1):
            own = of_image[truth == region].astype(np.float64)
            if len(own) >= _FEWEST_CHIPS:
                residuals = own - own.mean(axis=0)
                scatter += residuals.T @ residuals / len(own)
                regions += 1
    scatter /= regions
    values, directions = np.linalg.eigh(scatter + shrinkage * np.trace(scatter) / size * np.eye(size))
    inverse = (directions / np.sqrt(values)) @ directions.T
    return (inverse / np.sqrt(np.mean(inverse**2) * size)).astype(np.float32)


def with_metric(network: TextureNetwork, metric: NDArray[np.float32]) -> None:
    """Fold a metric (d, d) into the last layer: embeddings of length 1 are then in that metric."""
    with torch.no_grad():
        turned = torch.from_numpy(metric.T.copy())
        network.head.weight.copy_(turned @ network.head.weight)
        network.head.bias.copy_(turned @ network.head.bias)


def measure_distances(
    version: str, surveys: Sequence[Survey], vectors: Sequence[NDArray[np.float32]], seed: int = SURVEY_SEED
) -> TypicalDistances:
    """How far chips of a class lie from its prototype, over images and ways to choose support chips.

    Args:
        version: of the encoder.
        surveys: simulated images.
        vectors: (n, d) embeddings of the chips of each.
        seed: of the choice of support chips.
    """
    excess: list[NDArray[np.float64]] = []
    for index, (survey, embedded) in enumerate(zip(surveys, vectors, strict=True)):
        for kind, placing in enumerate(PLACINGS):
            support = survey.support(placing, np.random.default_rng((seed, index, kind)))
            if support is None:
                continue
            model = PrototypeClassifier.fit(embedded[support.chips], support.class_id)
            (judged,) = np.nonzero(survey.labels(support) >= 0)
            answer = model.classify(embedded[judged], 0)
            closest = np.log(np.maximum(answer.distances.min(axis=1), 1e-4))
            found = closest - OWN_SHARE * model.log_distance[answer.distances.argmin(axis=1)]
            # Every image counts alike, however many chips it has.
            excess.append(np.quantile(found, (np.arange(200) + 0.5) / 200))
    quantiles = np.quantile(np.concatenate(excess), 1 - np.array(LEVELS))
    return TypicalDistances(encoder=version, specimens=len(surveys), excess=tuple(quantiles.tolist()))


def main(words: list[str] | None = None) -> int:
    """Fit and write everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, required=True, help="folder that train_encoder wrote to")
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--surveys", type=int, default=SURVEYS, help="simulated images")
    options = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.output.mkdir(parents=True, exist_ok=True)
    card = read_card(options.network)
    network = read_weights(read_blob(options.network))
    statistics, plain = fit_statistics(), TextureEncoder(options.network)
    surveys, features, embedded = [], [], []
    for index in range(options.surveys):
        survey = Survey.draw(SURVEY_SEED, index)
        surveys.append(survey)
        features.append(statistics.standardised(raw_features(survey.chips.pixels)))
        embedded.append(plain.embed(survey.chips.pixels))
        _LOG.info("image %d of %d", index + 1, options.surveys)
    fit_and_write(card, network, statistics, surveys, features, embedded, options.output)
    return 0


def fit_and_write(
    card: EncoderCard,
    network: TextureNetwork,
    statistics: HandmadeReference,
    surveys: Sequence[Survey],
    features: Sequence[NDArray[np.float32]],
    embedded: Sequence[NDArray[np.float32]],
    folder: Path,
) -> None:
    """Fit both metrics, measure distances, and write network, card, reference and distances.

    Args:
        card: of the network.
        network: as it was trained; changed.
        statistics: of the hand-made features.
        surveys: simulated images.
        features: (n, m) standardised hand-made features of each.
        embedded: (n, d) by the network of each.
        folder: written to; distances of other encoders that are there stay.
    """
    truths = [survey.truth for survey in surveys]
    training = EncoderTraining.model_validate(card.training)
    of_network = whitening(embedded, truths, NETWORK_SHRINKAGE)
    reference = replace(statistics, metric=whitening(features, truths, HANDMADE_SHRINKAGE))
    with_metric(network, of_network)
    fitted = f"{len(surveys)} simulated specimens, seed {SURVEY_SEED}"
    write_weights(network, training, mean_held_out(network, training), folder, metric_of=fitted)
    (folder / REFERENCE_FILE).write_bytes(reference.to_bytes())
    by_network = [unit_rows(vectors @ of_network) for vectors in embedded]
    by_hand = [unit_rows(vectors @ reference.metric) for vectors in features]
    both = [CombinedEncoder.joined(pair, DEFAULT_WEIGHTS) for pair in zip(by_network, by_hand, strict=True)]
    vectors_of = {"textures": by_network, "handmade": by_hand, DEFAULT_ENCODER: both}
    path = folder / DISTANCES_FILE
    known = read_distances(path) if path.exists() else {}
    for name, vectors in vectors_of.items():
        version = open_encoder(name, folder).version
        known[version] = measure_distances(version, surveys, vectors)
    path.write_bytes(TypeAdapter(list[TypicalDistances]).dump_json(list(known.values()), indent=1) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
