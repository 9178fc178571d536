"""Training of the shipped encoder: the same from the same seed, stopped or not."""

from __future__ import annotations

import copy
import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from eucentric_models.fewshot import EncoderError, open_encoder
from eucentric_models.fewshot._encoder_training import (
    EncoderTraining,
    EpisodeScore,
    held_out_scores,
    train_encoder,
)
from eucentric_models.fewshot._handmade import HandmadeReference, read_reference
from eucentric_models.fewshot._texture_network import TextureNetwork, TextureNetworkSpec
from eucentric_models.fewshot._texture_weights import SHIPPED_FOLDER, EncoderCard, write_weights
from eucentric_models.fewshot.fit_metrics import fit_statistics, whitening, with_metric
from eucentric_models.fewshot.textures import EpisodeSpec
from eucentric_models.fewshot.train_encoder import main

SMALL = EncoderTraining(
    seed=3,
    episodes=6,
    network=TextureNetworkSpec(chip_px=32, widths=((8, 8), (8, 16), (16, 16)), embedding_size=16),
    episode=EpisodeSpec(images=2, textures_per_image=2, shots=2, queries=2, chip_px=32),
    warm_up_episodes=2,
    held_out_episodes=3,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def digest(network: TextureNetwork) -> str:
    tensors = network.state_dict()
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in tensors.values())).hexdigest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TextureNetwork:
    return train_encoder(SMALL, tmp_path_factory.mktemp("training") / "checkpoint.safetensors")


def test_the_same_configuration_gives_the_same_weights(trained: TextureNetwork, tmp_path: Path) -> None:
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert digest(train_encoder(SMALL, tmp_path / "checkpoint.safetensors")) == digest(trained)
    assert torch.equal(torch.get_rng_state(), state)
    other = SMALL.model_copy(update={"seed": 4})
    assert digest(train_encoder(other, tmp_path / "other.safetensors")) != digest(trained)


def test_a_training_that_was_stopped_twice_ends_as_if_it_had_not(
    trained: TextureNetwork, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop_at(episode: int) -> None:
        def stop(done: int, _score: EpisodeScore) -> None:
            if done == episode:
                raise StoppedError

        with pytest.raises(StoppedError):
            train_encoder(SMALL, tmp_path / "checkpoint.safetensors", checkpoint_every=2, progress=stop)

    stop_at(3)
    stop_at(5)
    done: list[int] = []
    network = train_encoder(
        SMALL,
        tmp_path / "checkpoint.safetensors",
        checkpoint_every=2,
        progress=lambda episode, _score: done.append(episode),
    )
    assert done == [5, 6]
    assert digest(network) == digest(trained)


def test_where_a_training_stops_does_not_change_what_comes_before(
    trained: TextureNetwork, tmp_path: Path
) -> None:
    short = SMALL.model_copy(update={"stop_after": 4})
    first = train_encoder(short, tmp_path / "checkpoint.safetensors")
    assert digest(first) != digest(trained)
    assert digest(train_encoder(SMALL, tmp_path / "checkpoint.safetensors")) == digest(trained)


def test_the_checkpoint_of_another_configuration_is_refused_and_kept(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    train_encoder(SMALL.model_copy(update={"episodes": 1}), checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(EncoderError, match="another configuration"):
        train_encoder(SMALL, checkpoint)
    assert checkpoint.read_bytes() == before
    checkpoint.write_bytes(before[:100])
    with pytest.raises(EncoderError, match="unreadable"):
        train_encoder(SMALL, checkpoint)


def test_a_training_learns(tmp_path: Path) -> None:
    longer = SMALL.model_copy(update={"episodes": 60, "average_decay": 0.9, "held_out_episodes": 15})
    losses: list[float] = []
    network = train_encoder(
        longer, tmp_path / "checkpoint.safetensors", progress=lambda _done, score: losses.append(score.loss)
    )
    assert np.mean(losses[-15:]) < 0.95 * np.mean(losses[:15])
    assert np.mean([score.accuracy for score in held_out_scores(network, longer)]) > 0.4


def test_weights_and_card_say_the_same_and_open_as_an_encoder(
    trained: TextureNetwork, tmp_path: Path
) -> None:
    card = write_weights(trained, SMALL, EpisodeScore(1.0, 0.5, 0.75), tmp_path)
    assert EncoderCard.model_validate_json((tmp_path / "textures.json").read_bytes()) == card
    assert card.sha256 == hashlib.sha256((tmp_path / "textures.safetensors").read_bytes()).hexdigest()
    assert EncoderTraining.model_validate(card.training) == SMALL
    encoder = open_encoder("textures", tmp_path)
    assert (encoder.version, encoder.dimension) == (card.version, 16)


def test_the_shipped_card_tells_how_to_train_it_again() -> None:
    card = EncoderCard.model_validate_json((SHIPPED_FOLDER / "textures.json").read_bytes())
    training = EncoderTraining.model_validate(card.training)
    assert training.digest == card.training_sha256
    assert training.network == card.network
    assert training.digest == EncoderTraining().digest, (
        "`python -m …train_encoder` would train something else"
    )


def test_the_script_trains_writes_and_says_how_far_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Of the true size, so one episode and no more; held-out episodes are most of the time.
    with caplog.at_level(logging.INFO, logger="eucentric.train_encoder"):
        arguments = ["--output", str(tmp_path), "--episodes", "1", "--held-out", "1"]
        assert main(arguments) == 0
    assert "episode 1 of 1" in caplog.text
    assert open_encoder("textures", tmp_path).dimension == TextureNetworkSpec().embedding_size


def test_the_statistics_of_handmade_features_depend_on_the_seed_alone() -> None:
    spec = EpisodeSpec(images=4, textures_per_image=3, shots=1, queries=1)
    first, second = (fit_statistics(seed=2, episodes=1, spec=spec) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    assert fit_statistics(seed=3, episodes=1, spec=spec).to_bytes() != first.to_bytes()
    shipped = read_reference()
    assert np.corrcoef(first.mean, shipped.mean)[0, 1] > 0.9
    assert HandmadeReference.from_bytes(shipped.to_bytes()).metric.shape == shipped.metric.shape
    with pytest.raises(EncoderError, match="shapes"):
        HandmadeReference.from_bytes(HandmadeReference(first.mean[:3], first.scale, first.metric).to_bytes())


def test_a_metric_makes_the_scatter_within_regions_the_same_in_all_directions() -> None:
    rng = np.random.default_rng(6)
    truth = np.repeat([0, 1, -1], 200)
    spread = np.array([5.0, 1.0, 0.2])
    vectors = (rng.normal(size=(600, 3)) * spread + truth[:, None] * 7).astype(np.float32)
    vectors[truth < 0] *= 100
    metric = whitening([vectors], [truth], 0.0)
    scatter = np.cov((vectors[truth == 0] @ metric).T)
    np.testing.assert_allclose(scatter / scatter[0, 0], np.eye(3), atol=0.25)


def test_a_metric_can_be_folded_into_the_last_layer(trained: TextureNetwork) -> None:
    network = copy.deepcopy(trained)
    chips = torch.rand(3, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network(chips).numpy()
        metric = np.random.default_rng(1).normal(size=(16, 16)).astype(np.float32)
        with_metric(network, metric)
        np.testing.assert_allclose(network(chips).numpy(), before @ metric, atol=1e-4)
