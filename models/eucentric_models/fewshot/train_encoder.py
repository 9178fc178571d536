"""Train the texture encoder that is shipped, from nothing but its configuration.

``python -m eucentric_models.fewshot.train_encoder --output FOLDER`` takes about 25 minutes of one core, may
be stopped and started again, and writes ``textures.safetensors`` (float16) with its card ``textures.json``
beside it.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

import torch

from ._encoder_training import EncoderTraining, EpisodeScore, mean_held_out, train_encoder
from ._texture_weights import write_weights

_LOG = logging.getLogger("eucentric.train_encoder")
_TOLD_EVERY = 25


class _Progress:
    """Says now and then how far the training is, how good, and how long it will take."""

    def __init__(self, episodes: int) -> None:
        self._episodes = episodes
        self._began_s = time.monotonic()
        self._first: int | None = None
        self._scores: list[EpisodeScore] = []

    def __call__(self, done: int, score: EpisodeScore) -> None:
        if self._first is None:
            self._first = done - 1
        self._scores = [*self._scores[1 - _TOLD_EVERY :], score]
        if done % _TOLD_EVERY and done != self._episodes:
            return
        left_s = (time.monotonic() - self._began_s) / (done - self._first) * (self._episodes - done)
        _LOG.info(
            "episode %d of %d, %.0f min to go: loss %.3f, right among all %.3f, right within an image %.3f",
            done,
            self._episodes,
            left_s / 60,
            *(sum(values) / len(self._scores) for values in zip(*map(_numbers, self._scores), strict=True)),
        )


def main(words: list[str] | None = None) -> int:
    """Train and write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint, weights and card")
    parser.add_argument("--seed", type=int, default=EncoderTraining().seed)
    parser.add_argument("--episodes", type=int, default=EncoderTraining().episodes)
    parser.add_argument("--stop-after", type=int, default=EncoderTraining().stop_after)
    parser.add_argument("--held-out", type=int, default=EncoderTraining().held_out_episodes)
    options = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    # More threads would change the order of sums, and with it the last digits.
    torch.set_num_threads(1)
    training = EncoderTraining(
        seed=options.seed,
        episodes=options.episodes,
        stop_after=options.stop_after,
        held_out_episodes=options.held_out,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    network = train_encoder(
        training, options.output / "checkpoint.safetensors", progress=_Progress(training.steps)
    )
    held_out = mean_held_out(network, training)
    card = write_weights(network, training, held_out, options.output)
    _LOG.info("held out: right among all %.4f, right within an image %.4f", *_numbers(held_out)[1:])
    _LOG.info("wrote %s, version %s", card.name, card.version)
    return 0


def _numbers(score: EpisodeScore) -> tuple[float, float, float]:
    return score.loss, score.accuracy, score.within_image


if __name__ == "__main__":
    sys.exit(main())
