"""Where the files of one run lie, so that a run that is resumed finds what it has done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eucentric_core import Settings, mark_scratch_folder

__all__ = ["StartData", "Workspace", "start_data"]


@dataclass(frozen=True, slots=True)
class StartData:
    """A model's first training data: what is replayed, and what is only ever used to judge."""

    training: Path
    holdout: Path


def start_data(settings: Settings, model: str) -> StartData:
    """Where a model's start data lie."""
    folder = settings.home / "training" / model
    return StartData(folder / "start.npz", folder / "start-holdout.npz")


@dataclass(frozen=True, slots=True)
class Workspace:
    """Files of one run, under `<home>/training/<model>/<trigger id>`. A run makes them again."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings, model: str, trigger_id: str) -> Workspace:
        """The workspace of a run; made if need be."""
        folder = settings.home / "training" / model / trigger_id
        folder.mkdir(parents=True, exist_ok=True)
        # What lies beside it, people provide or the first training drew: copies of a hub hold that.
        mark_scratch_folder(folder)
        return cls(folder)

    @property
    def inputs(self) -> Path:
        """Folder of the gathered files, to train on and to judge by."""
        return self.folder / "inputs"

    @property
    def gathered(self) -> Path:
        """What was gathered; the last file of that stage."""
        return self.folder / "gathered.json"

    @property
    def champion(self) -> Path:
        """Bundle of the champion that the challenger is trained from and compared with."""
        return self.folder / "champion"

    @property
    def base(self) -> Path:
        """Bundle of the version that it is trained from, where that is not the champion."""
        return self.folder / "base"

    @property
    def training(self) -> Path:
        """Work folder of the training."""
        return self.folder / "training"

    @property
    def trained(self) -> Path:
        """Draft of the bundle that the training made; its last file."""
        return self.folder / "draft.json"

    @property
    def challenger(self) -> Path:
        """The draft as a model folder, for judging."""
        return self.folder / "challenger"

    @property
    def judgement(self) -> Path:
        """Evidence and verdict."""
        return self.folder / "judgement.json"

    @property
    def bundle(self) -> Path:
        """The signed bundle."""
        return self.folder / "bundle"
