"""Training of the texture network by prototypical episodes on simulated textures, resumable at any episode.

Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, with cosine distance.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional

from ._preparation import prepare
from ._texture_network import TextureNetwork, TextureNetworkSpec, build_texture_network
from .errors import EncoderError
from .textures import EpisodeSpec, draw_episode

_HELD_OUT_STREAM = 1
_TRAINING_STREAM = 0


class EncoderTraining(BaseModel):
    """Everything that decides what comes out of a training.

    Attributes:
        seed: of weights and textures.
        episodes: optimiser steps that the learning rate is laid out for.
        stop_after: optimiser steps that are done; None for all. What was stopped can be continued.
        network: architecture.
        episode: what each step sees.
        learning_rate: peak; cosine decay to a hundredth after a linear warm-up.
        warm_up_episodes: length of the warm-up.
        weight_decay: of AdamW.
        average_decay: of the exponential moving average of the weights, which is what is kept.
        within_image_weight: weight of the loss among the textures of one image, over that among all.
        held_out_episodes: simulated episodes that the result is measured on; none is trained on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=1, ge=0)
    episodes: int = Field(default=1000, ge=1, le=100_000)
    stop_after: int | None = Field(default=None, ge=1)
    network: TextureNetworkSpec = TextureNetworkSpec()
    episode: EpisodeSpec = EpisodeSpec()
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    warm_up_episodes: int = Field(default=40, ge=0)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    within_image_weight: float = Field(default=1.0, ge=0, le=10)
    held_out_episodes: int = Field(default=40, ge=1, le=1000)

    @property
    def digest(self) -> str:
        """sha256 of everything that decides an episode; where a training stops does not."""
        return hashlib.sha256(self.model_dump_json(exclude={"stop_after"}).encode()).hexdigest()

    @property
    def steps(self) -> int:
        """Optimiser steps until the end of the training."""
        return min(self.episodes, self.stop_after or self.episodes)


@dataclass(frozen=True, slots=True)
class EpisodeScore:
    """How well queries of an episode find their class.

    Attributes:
        loss: cross-entropy among all classes.
        accuracy: share of queries nearest to their own prototype among all classes.
        within_image: the same among the classes of their image, which is what a user asks for.
    """

    loss: float
    accuracy: float
    within_image: float


class _State:
    """Weights, their moving average, and the optimiser, as they are after some number of episodes."""

    def __init__(self, training: EncoderTraining) -> None:
        generator = torch.Generator().manual_seed(training.seed)
        self.network = build_texture_network(training.network, generator).train()
        self.average = build_texture_network(training.network, generator).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.log_scale = torch.nn.Parameter(torch.tensor(math.log(10.0)))
        self.optimiser = torch.optim.AdamW(
            [*self.network.parameters(), self.log_scale],
            lr=training.learning_rate,
            weight_decay=training.weight_decay,
        )
        self.done = 0

    def save(self, path: Path, digest: str) -> None:
        """Write everything in one step; a reader never sees half of it."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        tensors["log_scale"] = self.log_scale.detach()
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        whole = {name: value.clone().contiguous() for name, value in tensors.items()}
        aside = path.with_suffix(".part")
        safetensors.torch.save_file(whole, aside, metadata={"episodes": str(self.done), "training": digest})
        os.replace(aside, path)

    def load(self, path: Path, digest: str) -> None:
        """Continue from what :meth:`save` wrote for the same training.

        Raises:
            EncoderError: the checkpoint is unreadable or another training's.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise _not_resumable(path, f"it is unreadable ({error})") from error
        if metadata.get("training") != digest:
            raise _not_resumable(path, "it was written with another configuration")
        part = {
            prefix: {
                name.removeprefix(f"{prefix}."): value
                for name, value in tensors.items()
                if name.startswith(f"{prefix}.")
            }
            for prefix in ("network", "average", "optimiser")
        }
        self.network.load_state_dict(part["network"])
        self.average.load_state_dict(part["average"])
        with torch.no_grad():
            self.log_scale.copy_(tensors["log_scale"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in part["optimiser"].items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        self.optimiser.load_state_dict(
            {"state": moments, "param_groups": self.optimiser.state_dict()["param_groups"]}
        )
        self.done = int(metadata["episodes"])


def train_encoder(
    training: EncoderTraining,
    checkpoint: Path,
    *,
    checkpoint_every: int = 25,
    progress: Callable[[int, EpisodeScore], None] = lambda _done, _score: None,
) -> TextureNetwork:
    """Train, or continue a training that was stopped.

    The result depends on ``training`` alone (and on the machine's arithmetic, in the last digits): episode
    ``n`` sees the same textures whether or not the training was interrupted before.

    Args:
        training: configuration.
        checkpoint: file that is written every ``checkpoint_every`` episodes; continued from if there.
        checkpoint_every: episodes between checkpoints; at most these are lost when the process is stopped.
        progress: told the number of episodes done and how the last one went.

    Returns:
        The network with averaged weights, in evaluation mode.

    Raises:
        EncoderError: the checkpoint belongs to another configuration, or the loss is no longer a number.
    """
    state = _State(training)
    if checkpoint.exists():
        state.load(checkpoint, training.digest)
    while state.done < training.steps:
        for group in state.optimiser.param_groups:
            group["lr"] = _learning_rate(training, state.done)
        score = _step(state, training)
        if not math.isfinite(score.loss):
            raise EncoderError(
                f"The loss of episode {state.done} is {score.loss}.",
                safe="the last checkpoint was written before and is sound.",
                next_step="lower the learning rate and start again without the checkpoint.",
            )
        state.done += 1
        if state.done % checkpoint_every == 0 or state.done == training.steps:
            state.save(checkpoint, training.digest)
        progress(state.done, score)
    return state.average


def held_out_scores(network: TextureNetwork, training: EncoderTraining) -> Iterator[EpisodeScore]:
    """Scores on simulated episodes that no training of this seed has seen."""
    for index in range(training.held_out_episodes):
        rng = np.random.default_rng((training.seed, _HELD_OUT_STREAM, index))
        with torch.inference_mode():
            embedded = _embedded(network, draw_episode(training.episode, rng))
            all_logits = _logits(embedded, training.episode.shots, torch.tensor(10.0))
            yield _score(all_logits, training.episode)


def mean_held_out(network: TextureNetwork, training: EncoderTraining) -> EpisodeScore:
    """Mean of :func:`held_out_scores`."""
    scores = list(held_out_scores(network, training))
    return EpisodeScore(
        *(
            sum(values) / len(scores)
            for values in zip(*((one.loss, one.accuracy, one.within_image) for one in scores), strict=True)
        )
    )


def _step(state: _State, training: EncoderTraining) -> EpisodeScore:
    rng = np.random.default_rng((training.seed, _TRAINING_STREAM, state.done))
    embedded = _embedded(state.network, draw_episode(training.episode, rng))
    logits = _logits(embedded, training.episode.shots, state.log_scale.exp())
    loss = _among_all(logits) + training.within_image_weight * _among_one_image(logits, training.episode)
    state.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    with torch.no_grad():
        # A short history first: the average of a fresh network would otherwise be mostly chance.
        decay = min(training.average_decay, (1 + state.done) / (10 + state.done))
        for kept, new in zip(state.average.parameters(), state.network.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        state.log_scale.clamp_(0.0, math.log(64.0))
        return _score(logits.detach(), training.episode)


def _embedded(network: TextureNetwork, chips: NDArray[np.float32]) -> Tensor:
    """Unit embeddings (ways, chips per class, size) of an episode's chips."""
    flat = prepare(chips.reshape(-1, *chips.shape[2:]), network.spec.chip_px)
    batch = torch.from_numpy(flat).contiguous(memory_format=torch.channels_last)
    return functional.normalize(network(batch), dim=1).reshape(*chips.shape[:2], -1)


def _logits(embedded: Tensor, shots: int, scale: Tensor) -> Tensor:
    """(ways, queries, ways): scaled cosine of each query with each prototype."""
    prototypes = functional.normalize(embedded[:, :shots].mean(dim=1), dim=1)
    return scale * (embedded[:, shots:] @ prototypes.T)


def _among_all(logits: Tensor) -> Tensor:
    ways, queries, _ = logits.shape
    truth = torch.arange(ways).repeat_interleave(queries)
    return functional.cross_entropy(logits.reshape(ways * queries, ways), truth)


def _among_one_image(logits: Tensor, episode: EpisodeSpec) -> Tensor:
    truth = torch.arange(episode.textures_per_image).repeat_interleave(logits.shape[1]).repeat(episode.images)
    return functional.cross_entropy(_own_image(logits, episode), truth)


def _own_image(logits: Tensor, episode: EpisodeSpec) -> Tensor:
    """(ways * queries, textures per image): logits of the classes that are in the query's own image."""
    count = episode.textures_per_image
    blocks = logits.reshape(episode.images, count, logits.shape[1], episode.images, count)
    own = torch.arange(episode.images)
    return blocks[own, :, :, own].reshape(-1, count)


def _score(logits: Tensor, episode: EpisodeSpec) -> EpisodeScore:
    ways, queries, _ = logits.shape
    truth = torch.arange(ways).repeat_interleave(queries)
    right = (logits.reshape(ways * queries, ways).argmax(dim=1) == truth).float().mean()
    within = torch.arange(episode.textures_per_image).repeat_interleave(queries).repeat(episode.images)
    right_within = (_own_image(logits, episode).argmax(dim=1) == within).float().mean()
    return EpisodeScore(float(_among_all(logits)), float(right), float(right_within))


def _learning_rate(training: EncoderTraining, done: int) -> float:
    if done < training.warm_up_episodes:
        return training.learning_rate * (done + 1) / training.warm_up_episodes
    share = (done - training.warm_up_episodes) / max(1, training.episodes - training.warm_up_episodes)
    return training.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def _not_resumable(path: Path, reason: str) -> EncoderError:
    return EncoderError(
        f"The training cannot be continued from {path.name}: {reason}.",
        safe="the checkpoint was left as it is and nothing was trained.",
        next_step="continue with the configuration it was written with, or remove it to begin anew.",
    )
