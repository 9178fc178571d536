from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from eucentric_hpc import (
    Augmentation,
    CropSampler,
    MemberConfig,
    TrainingConfigError,
    TrainingDataError,
    TrainingDivergedError,
    TrainingInterruptedError,
    TrainingSet,
    evaluate_ensemble,
    read_training_set,
    train_member,
    write_training_set,
)
from eucentric_models import (
    DEMO_CONDITIONS,
    NetworkSpec,
    WeightsError,
    decode,
    heat_maps,
    normalise,
    simulate_frames,
)
from eucentric_models.networks import Ensemble, build_network, weights_to_bytes

SPEC = NetworkSpec(n_classes=3, base_filters=8, depth=1, stem_factor=4)
SHORT = MemberConfig(steps=12, batch_size=2, crop_px=64, checkpoint_every_steps=4, seed=5)

TRAIN_UNTIL_KILLED = """
import sys
from pathlib import Path
from eucentric_hpc import MemberConfig, read_training_set, train_member
from eucentric_models import NetworkSpec
data = read_training_set(Path(sys.argv[1]))
train_member(
    data.frames, data.truths, NetworkSpec.model_validate_json(sys.argv[3]),
    MemberConfig.model_validate_json(sys.argv[4]), checkpoint_path=Path(sys.argv[2]),
    progress=lambda step, steps, loss: print(step, flush=True),
)
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    labelled = simulate_frames("mos2", DEMO_CONDITIONS.initial, 6, (128, 128), np.random.default_rng(0))
    return TrainingSet(
        tuple(frame.frame for frame in labelled),
        tuple(frame.truth for frame in labelled),
        tuple(frame.conditions.pixel_size_m for frame in labelled),
    )


def truths_of(data: TrainingSet) -> list[np.ndarray]:
    return [truth for truth in data.truths if truth is not None]


class TestTrainingSet:
    def test_what_is_written_is_read(self, data: TrainingSet, tmp_path: Path) -> None:
        mixed = data + TrainingSet((np.zeros((40, 50), np.float32),), (None,), (2e-11,))
        write_training_set(tmp_path / "set.npz", mixed)
        again = read_training_set(tmp_path / "set.npz")
        assert len(again) == 7
        assert again.labelled.tolist() == [0, 1, 2, 3, 4, 5]
        assert again.frames[0].dtype == np.uint16
        np.testing.assert_array_equal(again.frames[0], data.frames[0])
        np.testing.assert_array_equal(again.truths[3], data.truths[3])
        assert again.pixel_sizes_m == mixed.pixel_sizes_m

    def test_files_that_are_no_training_sets_are_refused(self, data: TrainingSet, tmp_path: Path) -> None:
        whole = tmp_path / "set.npz"
        write_training_set(whole, data)
        (tmp_path / "half.npz").write_bytes(whole.read_bytes()[:5000])
        (tmp_path / "text.npz").write_text("frames")
        np.savez(tmp_path / "other.npz", a=np.arange(3))
        pickled = np.array([{"frame": 1}], dtype=object)
        np.savez(tmp_path / "pickled.npz", schema=np.array(1), pixel_sizes_m=pickled)
        for name in ("half.npz", "text.npz", "other.npz", "pickled.npz", "missing.npz"):
            with pytest.raises(TrainingDataError, match=name):
                read_training_set(tmp_path / name)

    def test_inconsistent_sets_cannot_be_made(self, data: TrainingSet) -> None:
        with pytest.raises(TrainingDataError, match="different lengths"):
            TrainingSet(data.frames, data.truths[:-1], data.pixel_sizes_m)
        with pytest.raises(TrainingDataError, match="frame 0"):
            TrainingSet((np.zeros((2, 2, 2)),), (None,), (1e-11,))
        with pytest.raises(TrainingDataError, match="pixel size"):
            TrainingSet((np.zeros((9, 9)),), (None,), (12.0,))


class TestCrops:
    @pytest.mark.parametrize("zoom", [0.0, 0.3])
    def test_truth_follows_the_image_through_zoom_and_symmetry(self, zoom: float) -> None:
        places = np.array(
            [[y, x, (y + x) % 3] for y in range(20, 160, 19) for x in range(20, 160, 23)], float
        )
        image = heat_maps(places * [1, 1, 0], (180, 180), 1, sigma_px=3.0)[0]
        config = MemberConfig(
            steps=1,
            swa_fraction=0,
            batch_size=6,
            crop_px=96,
            augmentation=Augmentation(zoom=zoom, contrast=0, noise=0),
        )
        images, targets, _ = CropSampler([image], [places], 3, config, np.random.default_rng(1)).batch()
        for crop, target in zip(images, targets, strict=True):
            seen, wanted = decode(crop), decode(target)
            inner = np.all((wanted.positions_px > 8) & (wanted.positions_px < 87), axis=1)
            assert inner.sum() >= 6
            apart = np.hypot(
                *np.moveaxis(wanted.positions_px[inner][:, None] - seen.positions_px[None], -1, 0)
            )
            assert apart.min(axis=1).max() < 0.2

    def test_vacancies_are_left_out_of_the_loss(self) -> None:
        truth = np.array([[32, 32, 3], [10, 10, 0]], float)
        config = MemberConfig(
            steps=1,
            swa_fraction=0,
            batch_size=1,
            crop_px=64,
            augmentation=Augmentation(zoom=0, symmetry=False, contrast=0, noise=0),
        )
        sampler = CropSampler([np.zeros((64, 64), np.float32)], [truth], 3, config, np.random.default_rng(0))
        _, targets, masks = sampler.batch()
        assert masks[0, 0, 32, 32] == 0
        assert masks[0, 0, 10, 10] == 1
        assert targets[0, :, 32, 32].max() < 1e-6
        assert targets[0, 0, 10, 10] == pytest.approx(1)


class TestMember:
    def test_a_short_training_learns_to_see_columns(self, data: TrainingSet) -> None:
        config = MemberConfig(steps=90, batch_size=8, crop_px=64, learning_rate=1e-2, seed=1)
        result = train_member(data.frames[:5], truths_of(data)[:5], SPEC, config)
        metrics = evaluate_ensemble(Ensemble(SPEC, [result.weights]), data.subset([5]))
        assert metrics["f1"] > 0.85
        assert metrics["position_rmse_m"] < 12e-12
        assert result.losses[-1] < 0.6 * result.losses[0]
        assert len(result.losses) == 90

    def test_the_seed_decides_and_nothing_else(self, data: TrainingSet) -> None:
        torch.manual_seed(1)
        first = train_member(data.frames, truths_of(data), SPEC, SHORT).weights
        torch.manual_seed(2)
        second = train_member(data.frames, truths_of(data), SPEC, SHORT).weights
        other = train_member(data.frames, truths_of(data), SPEC, SHORT.model_copy(update={"seed": 6})).weights
        assert first == second
        assert first != other

    def test_averaged_weights_are_not_the_last_ones(self, data: TrainingSet) -> None:
        last = SHORT.model_copy(update={"swa_fraction": 0.0})
        assert (
            train_member(data.frames, truths_of(data), SPEC, SHORT).weights
            != train_member(data.frames, truths_of(data), SPEC, last).weights
        )

    def test_a_warm_start_begins_where_the_given_weights_are(self, data: TrainingSet) -> None:
        long = SHORT.model_copy(update={"steps": 60, "learning_rate": 1e-2})
        champion = train_member(data.frames, truths_of(data), SPEC, long)
        again = train_member(data.frames, truths_of(data), SPEC, SHORT, initial_weights=champion.weights)
        fresh = train_member(data.frames, truths_of(data), SPEC, SHORT)
        assert again.losses[0] < 0.8 * fresh.losses[0]

    def test_a_killed_training_resumes_and_ends_with_the_same_weights(
        self, data: TrainingSet, tmp_path: Path
    ) -> None:
        write_training_set(tmp_path / "set.npz", data)
        checkpoint = tmp_path / "member.checkpoint"
        arguments = (tmp_path / "set.npz", checkpoint, SPEC.model_dump_json(), SHORT.model_dump_json())
        with subprocess.Popen(
            [sys.executable, "-c", TRAIN_UNTIL_KILLED, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) == 10:
                    process.kill()
                    break
        assert checkpoint.exists()
        resumed = train_member(data.frames, truths_of(data), SPEC, SHORT, checkpoint_path=checkpoint)
        straight = train_member(data.frames, truths_of(data), SPEC, SHORT)
        assert resumed.resumed_from_step in (8, 12)
        assert resumed.weights == straight.weights
        assert resumed.losses == straight.losses
        repeated = train_member(data.frames, truths_of(data), SPEC, SHORT, checkpoint_path=checkpoint)
        assert (repeated.weights, repeated.losses) == (resumed.weights, resumed.losses)
        assert repeated.resumed_from_step == SHORT.steps

    def test_the_time_limit_leaves_a_checkpoint(self, data: TrainingSet, tmp_path: Path) -> None:
        checkpoint = tmp_path / "member.checkpoint"
        attempts = 0
        while True:
            attempts += 1
            try:
                result = train_member(
                    data.frames,
                    truths_of(data),
                    SPEC,
                    SHORT,
                    checkpoint_path=checkpoint,
                    time_limit_s=1e-9,
                )
                break
            except TrainingInterruptedError:
                assert checkpoint.exists()
        assert attempts == SHORT.steps
        assert result.resumed_from_step == SHORT.steps - 1
        assert result.weights == train_member(data.frames, truths_of(data), SPEC, SHORT).weights

    def test_a_checkpoint_of_another_training_is_not_used_and_a_damaged_one_is_refused(
        self, data: TrainingSet, tmp_path: Path
    ) -> None:
        checkpoint = tmp_path / "member.checkpoint"
        with pytest.raises(TrainingInterruptedError):
            train_member(
                data.frames, truths_of(data), SPEC, SHORT, checkpoint_path=checkpoint, time_limit_s=1e-9
            )
        damaged = checkpoint.read_bytes()[:-100]
        fewer = train_member(data.frames[:-1], truths_of(data)[:-1], SPEC, SHORT, checkpoint_path=checkpoint)
        assert fewer.resumed_from_step == 0
        checkpoint.write_bytes(damaged)
        with pytest.raises(TrainingDataError, match="damaged"):
            train_member(data.frames, truths_of(data), SPEC, SHORT, checkpoint_path=checkpoint)
        assert checkpoint.read_bytes() == damaged

    def test_misfits_are_found_before_the_first_step(self, data: TrainingSet) -> None:
        steps: list[int] = []

        def refuse(spec: NetworkSpec, config: MemberConfig, count: int, pattern: str) -> None:
            with pytest.raises(TrainingConfigError, match=pattern):
                train_member(
                    data.frames,
                    truths_of(data)[:count],
                    spec,
                    config,
                    progress=lambda step, of, loss: steps.append(step),
                )

        refuse(SPEC, SHORT.model_copy(update={"crop_px": 256}), 6, "smallest frame side is 128")
        refuse(SPEC, SHORT, 5, "6 frames and 5 truth")
        refuse(SPEC.model_copy(update={"depth": 4}), SHORT, 6, "multiple of 64")
        with pytest.raises(TrainingConfigError, match="labelled column"):
            train_member(data.frames[:1], [np.empty((0, 3))], SPEC, SHORT)
        with pytest.raises(WeightsError):
            train_member(data.frames, truths_of(data), SPEC, SHORT, initial_weights=b"nonsense")
        with pytest.raises(ValidationError, match="fewer than 2"):
            MemberConfig(steps=5, swa_fraction=0.2)
        with pytest.raises(ValidationError, match="gaussnoise"):
            MemberConfig.model_validate({"gaussnoise_typo": 1})
        assert steps == []

    def test_a_diverging_training_says_so(self, data: TrainingSet) -> None:
        network = build_network(SPEC, torch.Generator().manual_seed(0))
        with torch.no_grad():
            network.head.weight.fill_(3e38)
        with pytest.raises(TrainingDivergedError, match="step 0"):
            train_member(data.frames, truths_of(data), SPEC, SHORT, initial_weights=weights_to_bytes(network))

    def test_training_leaves_the_global_state_of_torch_alone(self, data: TrainingSet) -> None:
        torch.manual_seed(3)
        before = torch.random.get_rng_state()
        train_member(data.frames, truths_of(data), SPEC, SHORT.model_copy(update={"torch_threads": 2}))
        assert torch.equal(torch.random.get_rng_state(), before)
        assert torch.get_num_threads() == 1
        assert normalise(data.frames[0]).dtype == np.float32
