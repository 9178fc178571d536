from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from eucentric_core import HpcSettings, sha256_file
from eucentric_hpc import (
    EnsembleRequest,
    MemberConfig,
    PseudoLabelling,
    TrainingConfigError,
    TrainingDivergedError,
    TrainingInterruptedError,
    TrainingProgress,
    TrainingSet,
    evaluate_ensemble,
    open_executor,
    pseudo_truth,
    read_training_set,
    select_members,
    sure_labels,
    train_ensemble,
    write_training_set,
)
from eucentric_models import (
    DEFAULT_DECODING,
    DEMO_CONDITIONS,
    MOS2,
    Detections,
    ImagingConditions,
    NetworkSpec,
    score_frame,
    simulate_frames,
)
from eucentric_models.networks import Ensemble

SPEC = NetworkSpec(n_classes=3, base_filters=8, depth=1, stem_factor=4)
TINY = MemberConfig(steps=10, batch_size=2, crop_px=64)
LEARNS = MemberConfig(steps=90, batch_size=8, crop_px=64, learning_rate=1e-2)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def frames(conditions: ImagingConditions, count: int, seed: int, side: int = 128) -> TrainingSet:
    labelled = simulate_frames("mos2", conditions, count, (side, side), np.random.default_rng(seed))
    return TrainingSet(
        tuple(frame.frame for frame in labelled),
        tuple(frame.truth for frame in labelled),
        tuple(frame.conditions.pixel_size_m for frame in labelled),
    )


def written(folder: Path, name: str, data: TrainingSet) -> Path:
    write_training_set(folder / name, data)
    return folder / name


def without_truth(data: TrainingSet) -> TrainingSet:
    return TrainingSet(data.frames, (None,) * len(data), data.pixel_sizes_m)


def test_the_story_detection_falls_when_the_microscope_drifts_and_retraining_brings_it_back(
    tmp_path: Path,
) -> None:
    start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 24, 1, side=160))
    new = written(tmp_path, "new.npz", frames(DEMO_CONDITIONS.drifted, 20, 2, side=160))
    drifted = frames(DEMO_CONDITIONS.drifted, 6, 3, side=160)
    first = EnsembleRequest(
        work_dir=tmp_path / "first",
        network=SPEC,
        member=LEARNS,
        members=2,
        classes=MOS2.detectable_classes,
        start_data=start,
        seed=1,
    )
    stages: list[tuple[str, int, int]] = []
    looks: list[TrainingProgress] = []
    settings = HpcSettings.model_validate({"executor": "parsl-local", "workers": 2, "start_timeout_s": 90})
    with open_executor(settings, tmp_path / "run") as executor:
        champion = train_ensemble(
            executor,
            first,
            progress=lambda *stage: stages.append(stage),
            watch=lambda members, waiting: looks.extend(members),
        )
        second = first.model_copy(
            update={"work_dir": tmp_path / "second", "new_data": new, "champion": champion.weights}
        )
        challenger = train_ensemble(executor, second)

    assert stages == [("assemble", 1, 1), ("members", 1, 2), ("members", 2, 2), ("finish", 1, 1)]
    assert all(0 < look.step <= look.steps == LEARNS.steps for look in looks)
    assert {look.task for look in looks} == {"member-0", "member-1"}
    assert {look.task for look in looks if look.done} == {"member-0", "member-1"}
    assert champion.metrics["f1"] > 0.9
    assert set(champion.metrics) >= {"precision", "recall", "calibration_error", "f1_metal", "f1_dopant"}
    assert [sha256_file(member.weights) for member in champion.members] == [
        member.sha256 for member in champion.members
    ]
    assert champion.members[0].sha256 != champion.members[1].sha256

    before = Ensemble(SPEC, [path.read_bytes() for path in champion.weights])
    after = Ensemble(SPEC, [path.read_bytes() for path in challenger.weights])
    fallen = evaluate_ensemble(before, drifted)["f1"]
    assert fallen < champion.metrics["f1"] - 0.25
    assert evaluate_ensemble(after, drifted)["f1"] > fallen + 0.25
    assert challenger.data.train_frames == 16 + 20
    assert challenger.data.validation_frames == 4

    inference = before.infer(drifted.frames[0])
    assert champion.drift_reference.score(inference.features) > 1
    assert champion.drift_reference.quality_proxy(inference.mean_entropy) > 1.1
    assert challenger.drift_reference.score(after.infer(drifted.frames[0]).features) < 1.5

    golden = challenger.golden[0]
    maps = after.infer(np.load(golden.frame, allow_pickle=False)).maps
    np.testing.assert_allclose(maps, np.load(golden.expected, allow_pickle=False), atol=1e-4)


def test_members_far_below_the_median_are_dropped_and_the_best_never() -> None:
    assert select_members([0.95, 0.94, 0.50], 0.05) == (0, 1)
    assert select_members([0.95, 0.94, 0.93], 0.05) == (0, 1, 2)
    assert select_members([0.2, 0.9], 0.05) == (1,)
    assert select_members([0.1], 0.0) == (0,)


def test_new_data_is_used_when_the_same_request_is_repeated_with_it(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 10, 1))
    request = EnsembleRequest(
        work_dir=tmp_path / "work", network=SPEC, member=TINY, members=2, start_data=start, seed=4
    )
    first = train_ensemble(threads, request)
    new = written(tmp_path, "new.npz", frames(DEMO_CONDITIONS.drifted, 10, 2))
    second = train_ensemble(threads, request.model_copy(update={"new_data": new, "replay_frames": 3}))
    used = read_training_set(second.data.train)
    assert second.data.train_frames == 8 + 3
    assert sorted(set(used.pixel_sizes_m)) == [
        DEMO_CONDITIONS.initial.pixel_size_m,
        DEMO_CONDITIONS.drifted.pixel_size_m,
    ]
    assert [m.sha256 for m in first.members] != [m.sha256 for m in second.members]


def test_held_out_frames_are_not_trained_on(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 10, 1))
    request = EnsembleRequest(
        work_dir=tmp_path / "work", network=SPEC, member=TINY, members=2, start_data=start
    )
    data = train_ensemble(threads, request).data
    train, validation = read_training_set(data.train), read_training_set(data.validation)
    assert (len(train), len(validation)) == (8, 2)
    seen = {frame.tobytes() for frame in train.frames}
    assert not seen & {frame.tobytes() for frame in validation.frames}


class TestPseudoLabels:
    def test_sure_detections_become_labels_and_unsure_ones_are_left_out(self) -> None:
        rule = PseudoLabelling(confidence_bound=0.8, smallest_sure_share=0.5)
        found = Detections(
            np.array([[10, 10], [30, 30], [50, 50]], np.float32),
            np.array([0, 1, 2], np.int8),
            np.array([0.95, 0.9, 0.5], np.float32),
        )
        truth = sure_labels(found, rule, 3)
        assert truth is not None
        assert truth[:, 2].tolist() == [0, 1, 3]
        assert sure_labels(found, rule.model_copy(update={"smallest_sure_share": 0.9}), 3) is None

    def test_frames_without_truth_are_labelled_by_a_champion_that_knows_them(
        self, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 14, 1))
        request = EnsembleRequest(
            work_dir=tmp_path / "first",
            network=SPEC,
            member=LEARNS,
            members=1,
            smallest_ensemble=1,
            start_data=start,
        )
        champion = train_ensemble(threads, request)
        known = frames(DEMO_CONDITIONS.initial, 4, 5)
        blank = TrainingSet((np.random.default_rng(0).poisson(5, (128, 128)),), (None,), (12e-12,))
        new = written(tmp_path, "new.npz", without_truth(known) + blank)
        retraining = request.model_copy(
            update={
                "work_dir": tmp_path / "second",
                "member": TINY,
                "new_data": new,
                "champion": champion.weights,
                "pseudo_labelling": PseudoLabelling(confidence_bound=0.6),
            }
        )
        result = train_ensemble(threads, retraining)
        assert result.data.pseudo_labelled_frames == 4
        assert result.data.unused_frames == 1
        assert read_training_set(result.data.validation).labelled.size == result.data.validation_frames > 0

        ensemble = Ensemble(SPEC, [path.read_bytes() for path in champion.weights])
        proposed = pseudo_truth(ensemble, known.frames[0], DEFAULT_DECODING, retraining.pseudo_labelling)
        assert proposed is not None
        sure = proposed[proposed[:, 2] < 3]
        truth = known.truths[0]
        assert truth is not None
        agreement = score_frame(
            Detections(sure[:, :2], sure[:, 2].astype(np.int8), np.ones(len(sure), np.float32)),
            truth,
            n_classes=3,
            pixel_size_m=12e-12,
            shape=(128, 128),
        )
        assert agreement.precision > 0.9


class TestFailures:
    def test_a_request_without_data_or_with_a_typing_error_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="start_data or new_data"):
            EnsembleRequest(work_dir=tmp_path, network=SPEC, member=TINY)
        with pytest.raises(ValidationError, match="smallest_ensemble"):
            EnsembleRequest(
                work_dir=tmp_path, network=SPEC, member=TINY, members=1, start_data=tmp_path / "x.npz"
            )

    def test_unlabelled_frames_without_a_champion_are_not_enough(
        self, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        new = written(tmp_path, "new.npz", without_truth(frames(DEMO_CONDITIONS.initial, 12, 1)))
        request = EnsembleRequest(work_dir=tmp_path / "work", network=SPEC, member=TINY, new_data=new)
        with pytest.raises(TrainingConfigError, match="too few"):
            train_ensemble(threads, request)

    def test_members_that_cannot_be_trained_fail_the_ensemble_with_the_reason(
        self, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 10, 1))
        too_large = TINY.model_copy(update={"crop_px": 256})
        request = EnsembleRequest(
            work_dir=tmp_path / "work", network=SPEC, member=too_large, start_data=start
        )
        with pytest.raises(TrainingDivergedError, match=r"0 of 3 members.*smallest frame side"):
            train_ensemble(threads, request)

    def test_an_interrupted_ensemble_resumes_when_submitted_again(
        self, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 10, 1))
        request = EnsembleRequest(
            work_dir=tmp_path / "work",
            network=SPEC,
            member=TINY,
            members=2,
            start_data=start,
            member_time_limit_s=1e-9,
        )
        with pytest.raises(TrainingInterruptedError, match="at step 1"):
            train_ensemble(threads, request)
        again = train_ensemble(threads, request.model_copy(update={"member_time_limit_s": None}))
        assert [member.resumed_from_step for member in again.members] == [1, 1]

    def test_an_executor_that_never_answers_is_given_up(self, tmp_path: Path) -> None:
        class Silent(Executor):
            def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
                return Future()

        start = written(tmp_path, "start.npz", frames(DEMO_CONDITIONS.initial, 10, 1))
        request = EnsembleRequest(
            work_dir=tmp_path / "work", network=SPEC, member=TINY, start_data=start, timeout_s=0.05
        )
        with pytest.raises(TrainingInterruptedError, match="was not trained within"):
            train_ensemble(Silent(), request)
