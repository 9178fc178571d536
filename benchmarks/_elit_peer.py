"""AtomAI beside Eucentric: drives `_elit_atomai.py` in an interpreter of its own and scores what it finds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import _elit_data as elit_data
import numpy as np
from _elit_data import SUBJECTS
from numpy.typing import NDArray

from eucentric_hpc import DEFAULT_JUDGING, TrainingSet
from eucentric_models import Detections, Score, judge_frame, total

WORKER = Path(__file__).with_name("_elit_atomai.py")


class PeerError(RuntimeError):
    """AtomAI cannot be compared with; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights on the way.

    Attributes:
        cycles: mini-batches trained on.
        cpu_s: processor time of the training so far, checkpoints left out.
        wall_s: the same by the clock.
        weights: `.npz` file.
        averaged: whether these are the averaged weights at the end.
    """

    cycles: int
    cpu_s: float
    wall_s: float
    weights: Path
    averaged: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """AtomAI, trained for one material."""

    python: Path
    name: str
    folder: Path

    @property
    def outputs(self) -> int:
        """Outputs of its network: one for one class, else one more than classes, for the background."""
        classes = SUBJECTS[self.name].classes
        return 1 if classes == 1 else classes + 1

    def train(self, frames: TrainingSet, validation: TrainingSet, *, cycles: int, every: int) -> None:
        """Train a Segmentor; what is in the folder already is not trained again."""
        record = self.folder / "training.jsonl"
        if record.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data.npz"
        arrays = dict(zip(("frames", "masks"), self._examples(frames), strict=True))
        arrays |= dict(zip(("test_frames", "test_masks"), self._examples(validation), strict=True))
        np.savez(data, **arrays)  # type: ignore[arg-type]
        said = self._run("train", "--data", str(data), "--cycles", str(cycles), "--every", str(every))
        record.write_text(said, encoding="utf-8")

    def checkpoints(self) -> list[Checkpoint]:
        """All that was kept, in order."""
        found = []
        for line in (self.folder / "training.jsonl").read_text(encoding="utf-8").splitlines():
            said = json.loads(line)
            averaged = bool(said.get("final"))
            file = "final.npz" if averaged else f"cycle-{said['cycles']}.npz"
            found.append(
                Checkpoint(said["cycles"], said["cpu_s"], said["wall_s"], self.folder / file, averaged)
            )
        return found

    def judge(self, checkpoint: Checkpoint, sets: Mapping[str, TrainingSet]) -> dict[str, Score]:
        """Scores by condition, under the same rules as ours."""
        found = self.found(checkpoint, sets)
        return {
            key: total(
                self._score(found[key][i], data, i)
                for i, truth in enumerate(data.truths)
                if truth is not None
            )
            for key, data in sets.items()
        }

    def found(
        self, checkpoint: Checkpoint, sets: Mapping[str, TrainingSet]
    ) -> dict[str, list[NDArray[np.float64]]]:
        """Coordinates by condition: rows ``y_px, x_px, class_id``, one array a frame."""
        frames = self.folder / "judged.npz"
        arrays = {f"{key}/{i}": frame for key, data in sets.items() for i, frame in enumerate(data.frames)}
        np.savez(frames, **{key: frame.astype(np.float32) for key, frame in arrays.items()})  # type: ignore[arg-type]
        self._run("predict", "--frames", str(frames), "--weights", str(checkpoint.weights))
        with np.load(self.folder / "found.npz", allow_pickle=False) as found:
            return {key: [found[f"{key}/{i}"] for i in range(len(data))] for key, data in sets.items()}

    @contextmanager
    def server(self, checkpoint: Checkpoint) -> Iterator[PeerServer]:
        """A process that predicts when told to."""
        command = self._command("serve", "--weights", str(checkpoint.weights))
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_one_thread(),
        ) as process:
            try:
                if process.stdin is None or process.stdout is None or not process.stdout.readline():
                    raise PeerError("the AtomAI server did not start")
                yield PeerServer(process.stdin, process.stdout)
            finally:
                process.kill()

    def _score(self, rows: NDArray[np.float64], data: TrainingSet, index: int) -> Score:
        truth = data.truths[index]
        if truth is None:
            raise ValueError("an unlabelled frame cannot be judged")
        found = Detections(
            rows[:, :2].astype(np.float32), rows[:, 2].astype(np.int8), np.ones(len(rows), np.float32)
        )
        return judge_frame(
            found,
            truth,
            n_classes=SUBJECTS[self.name].classes,
            pixel_size_m=data.pixel_sizes_m[index],
            shape=(data.frames[index].shape[0], data.frames[index].shape[1]),
            tolerance_m=DEFAULT_JUDGING.tolerance_m,
            border_m=DEFAULT_JUDGING.border_m,
        ).score

    def _examples(self, data: TrainingSet) -> tuple[NDArray[np.float32], NDArray[Any]]:
        frames, masks = [], []
        for frame, truth in zip(data.frames, data.truths, strict=True):
            if truth is not None:
                # Each frame for itself, which AtomAI leaves to its user: over a stack one hot pixel would
                # darken all frames.
                image = frame.astype(np.float32)
                frames.append((image - image.min()) / np.ptp(image))
                masks.append(
                    elit_data.masks(truth, (frame.shape[0], frame.shape[1]), SUBJECTS[self.name].classes)
                )
        return np.array(frames, np.float32), np.array(masks)

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                self._command(*words), capture_output=True, text=True, check=True, env=_one_thread()
            )
        except OSError as error:
            raise PeerError(f"{self.python} cannot be started ({error})") from error
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["nothing was said"])[-1]
            raise PeerError(f"AtomAI failed: {last}") from error
        return done.stdout

    def _command(self, *words: str) -> list[str]:
        return [
            str(self.python),
            str(WORKER),
            *words,
            "--classes",
            str(self.outputs),
            "--out",
            str(self.folder),
        ]


@dataclass(frozen=True, slots=True)
class PeerServer:
    """Times single predictions with coordinates."""

    requests: IO[str]
    answers: IO[str]

    def predict(self, frame: Path) -> dict[str, float]:
        """`wall_s`, `cpu_s` and how many columns were `found` in a `.npy` frame."""
        self.requests.write(f"{frame}\n")
        self.requests.flush()
        line = self.answers.readline()
        if not line:
            raise PeerError("the AtomAI server ended")
        return json.loads(line)


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
