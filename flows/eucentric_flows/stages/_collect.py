"""From registered acquisitions, files of people and the champion to the files that a recipe is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import Frame, FrozenModel
from eucentric_data_repository import Catalogue

from .._errors import HeldError
from ..policy import (
    ArraysInput,
    ChampionInput,
    FileInput,
    FramesInput,
    InputSource,
    NewestInput,
    RowsInput,
    SeriesInput,
)

__all__ = ["Collected", "Collector"]

_HOLDOUT_SHARE = 4


class Collected(FrozenModel):
    """Files of one input.

    Attributes:
        training: what the recipe is given.
        holdout: what only ever judges; empty where the input has no such part.
        labelled: frames with labels, None where that says nothing.
    """

    training: tuple[Path, ...]
    holdout: tuple[Path, ...] = ()
    labelled: int | None = None


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects inputs from one stretch of a session.

    Attributes:
        catalogue: where acquisitions are registered.
        session: whose they are.
        instrument: whose session it is; None: of every instrument with one of that name.
        first: first sequence number wanted.
        last: last sequence number wanted.
        folder: where files are written.
        provided: where people keep files of the model.
        champion: its weights, in order; none before the first model.
        classes: names in the order of the model's ids; None takes the order of the labels themselves.
    """

    catalogue: Catalogue
    session: str
    instrument: str | None
    first: int
    last: int
    folder: Path
    provided: Path
    champion: tuple[Path, ...] = ()
    classes: tuple[str, ...] | None = None

    def collect(self, name: str, source: InputSource) -> Collected:
        """Write the files of an input.

        Args:
            name: of the input, which names its files.
            source: where it comes from.

        Raises:
            HeldError: the acquisitions hold nothing of the kind, or a file is not there.
        """
        match source:
            case FramesInput(stream=stream, labels=labels):
                return self._frames(name, stream, labels)
            case ArraysInput(stream=stream):
                return self._split(self._saved(name, [frame.array for frame in self._of(stream)]))
            case NewestInput(stream=stream):
                newest = self._saved(name, [self._of(stream)[-1].array])
                return Collected(training=newest, holdout=newest)
            case SeriesInput(stream=stream, length=length):
                return self._split(self._saved(name, self._series(stream, length)))
            case RowsInput(stream=stream):
                return self._rows(name, stream)
            case FileInput(path=path):
                return self._file(path)
            case ChampionInput():
                return Collected(training=self.champion)

    def _of(self, stream: str) -> list[Frame]:
        found = list(self._registered(stream))
        if not found:
            raise self._nothing(f"they hold no array of the stream {stream!r}")
        return found

    def _registered(self, stream: str) -> Iterator[Frame]:
        registered = self.catalogue.frames(
            self.session, stream, from_sequence=self.first, instrument=self.instrument
        )
        for frame in registered:
            if frame.header.sequence > self.last:
                return
            yield frame

    def _frames(self, name: str, stream: str, labels: str) -> Collected:
        from eucentric_hpc import TrainingSet, write_training_set

        frames = self._of(stream)
        truths = {label.header.sequence: self._labels(label) for label in self._registered(labels)}
        data = TrainingSet(
            tuple(np.array(frame.array) for frame in frames),
            tuple(truths.get(frame.header.sequence) for frame in frames),
            tuple(frame.header.pixel_size_m for frame in frames),
        )
        split = len(data) - len(data) // _HOLDOUT_SHARE
        paths = self.folder / f"{name}.npz", self.folder / f"{name}-holdout.npz"
        write_training_set(paths[0], data.subset(range(split)))
        write_training_set(paths[1], data.subset(range(split, len(data))))
        return Collected(training=paths[:1], holdout=paths[1:], labelled=len(data.labelled))

    def _labels(self, truth: Frame) -> NDArray[np.float32]:
        """Rows `y_px, x_px, class_id` with the model's ids; an unknown class is left out of the loss."""
        rows = np.array(truth.array, dtype=np.float32).reshape(-1, 3)
        known = self.classes
        if truth.header.classes and known is not None:
            ids = [known.index(name) if name in known else len(known) for name in truth.header.classes]
            rows[:, 2] = np.asarray(ids, dtype=np.float32)[rows[:, 2].astype(int)]
        return rows

    def _series(self, stream: str, length: int) -> list[NDArray[np.generic]]:
        arrays = [frame.array for frame in self._of(stream)]
        whole = [array for array in arrays if array.ndim == 2]
        single = [array for array in arrays if array.ndim == 1]
        if len(whole) + len(single) != len(arrays) or (whole and single):
            raise self._nothing(f"not every array of the stream {stream!r} is a spectrum, nor each a series")
        if whole:
            return whole
        if len({array.shape for array in single}) != 1:
            raise self._nothing(f"the spectra of the stream {stream!r} have different channels")
        if len(single) < length:
            raise self._nothing(f"{len(single)} spectra make no series of {length}")
        start = len(single) % length
        return [np.stack(single[at : at + length]) for at in range(start, len(single), length)]

    def _rows(self, name: str, stream: str) -> Collected:
        tables = [np.atleast_2d(frame.array) for frame in self._of(stream)]
        if len({table.shape[1:] for table in tables}) != 1:
            raise self._nothing(f"the tables of the stream {stream!r} have different columns")
        rows = np.concatenate(tables)
        held_out = np.arange(len(rows)) % _HOLDOUT_SHARE == _HOLDOUT_SHARE - 1
        (known,), (others,) = (
            self._saved(name, [rows[~held_out]]),
            self._saved(f"{name}-holdout", [rows[held_out]]),
        )
        return Collected(training=(known,), holdout=(others,))

    def _file(self, path: str) -> Collected:
        given = self.provided / path
        beside = given.with_name(f"{given.stem}-holdout{given.suffix}")
        if not given.exists():
            raise HeldError(
                f"{given} is not there, which the policy names as an input",
                safe="nothing was trained.",
                next_step="put it there, or name another with [action.inputs] in the policy.",
            )
        return Collected(training=(given,), holdout=(beside,) if beside.exists() else ())

    def _split(self, paths: tuple[Path, ...]) -> Collected:
        if len(paths) < 2:
            raise self._nothing("one file is too few to hold any back for judging")
        split = len(paths) - max(1, len(paths) // _HOLDOUT_SHARE)
        return Collected(training=paths[:split], holdout=paths[split:])

    def _saved(self, name: str, arrays: Sequence[NDArray[np.generic]]) -> tuple[Path, ...]:
        paths = tuple(self.folder / f"{name}-{index:05d}.npy" for index in range(len(arrays)))
        for path, array in zip(paths, arrays, strict=True):
            np.save(path, array, allow_pickle=False)
        return paths

    def _nothing(self, reason: str) -> HeldError:
        return HeldError(
            f"acquisitions {self.first} to {self.last} of session {self.session} cannot be used: {reason}",
            safe="nothing was trained.",
            next_step="see what the session holds with `eucentric data`, and [action.inputs] of the policy.",
        )
