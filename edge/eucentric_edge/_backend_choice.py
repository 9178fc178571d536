"""Which back end serves a model on this machine: what was measured here, or what the settings name."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from eucentric_core import BundleManifest, ConfigurationError, FrozenModel, write_atomic
from eucentric_models.backends import REFERENCE

__all__ = [
    "BackendChoice",
    "Candidate",
    "TuningRecord",
    "TuningRecords",
    "bundle_hash",
    "fastest",
    "machine_name",
    "network_name",
]

_MAX_RECORDS = 64


class Candidate(FrozenModel):
    """A back end that was tried.

    Attributes:
        name: of the back end.
        p50_ms: median time of a frame, from raw counts to detections; None where it was not timed.
        p99_ms: 99th percentile of the same.
        compile_s: time to compile, which every installation pays.
        golden_error: largest difference on the golden chips; None where it was not tried.
        refused: why it cannot serve; None where it can.
    """

    name: str
    p50_ms: float | None = None
    p99_ms: float | None = None
    compile_s: float | None = None
    golden_error: float | None = None
    refused: str | None = None


class TuningRecord(FrozenModel):
    """What was measured for one model on one machine.

    Attributes:
        machine: see :func:`machine_name`.
        threads: CPU threads that were allowed.
        bundle_sha256: of the manifest of the bundle, or of the description of a plain model.
        network: its architecture; other weights of the same one are as fast.
        members: how many.
        shapes: `(ny, nx)` that were timed; the times are those of all of them.
        candidates: all that were tried.
        chosen: the fastest that passes the golden test.
    """

    machine: str
    threads: int
    bundle_sha256: str
    network: str
    members: int
    shapes: tuple[tuple[int, int], ...]
    candidates: tuple[Candidate, ...]
    chosen: str


class TuningRecords(FrozenModel):
    """All that was measured, oldest first; the last 64 are kept."""

    schema_version: Literal[1] = 1
    records: Annotated[tuple[TuningRecord, ...], Field(max_length=_MAX_RECORDS)] = ()

    @classmethod
    def read(cls, path: Path) -> TuningRecords:
        """The records, or none if nothing was ever measured.

        Raises:
            ConfigurationError: the file is damaged.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls()
        except (OSError, ValidationError) as error:
            raise ConfigurationError(
                f"{path} is damaged: {error}.",
                safe="nothing was chosen and nothing was changed.",
                next_step="remove the file and run `eucentric edge tune` again.",
            ) from error

    def write(self, path: Path) -> None:
        """Write as a whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self.model_dump_json(indent=1).encode())

    def including(self, record: TuningRecord) -> TuningRecords:
        """With a record, which replaces the one of the same bundle, machine and threads."""
        others = [old for old in self.records if _key(old) != _key(record)]
        return TuningRecords(records=(*others, record)[-_MAX_RECORDS:])

    def best_for(
        self, *, machine: str, threads: int, bundle_sha256: str, network: str, members: int
    ) -> str | None:
        """The back end that was chosen for this bundle, else the last one for its architecture, or None."""
        here = [r for r in self.records if (r.machine, r.threads) == (machine, threads)]
        same = [r for r in here if r.bundle_sha256 == bundle_sha256]
        alike = [r for r in here if (r.network, r.members) == (network, members)]
        return (same or alike)[-1].chosen if same or alike else None


@dataclass(frozen=True, slots=True)
class BackendChoice:
    """How models are served on this machine.

    Attributes:
        name: a back end; `auto` for what was measured here, else CUDA on a GPU or the reference.
        threads: CPU threads that one frame may use.
        batch: how many frames are computed together at most.
        records: where measurements are kept; None for nowhere.
    """

    name: str = "auto"
    threads: int = 1
    batch: int = 1
    records: Path | None = None

    def for_manifest(self, manifest: BundleManifest, *, untuned: str = REFERENCE) -> str:
        """The back end for a bundle.

        Args:
            manifest: of the bundle.
            untuned: the one where nothing was measured.

        Raises:
            ConfigurationError: the records are damaged.
        """
        if self.name != "auto":
            return self.name
        if self.records is None:
            return untuned
        found = TuningRecords.read(self.records).best_for(
            machine=machine_name(),
            threads=self.threads,
            bundle_sha256=bundle_hash(manifest),
            network=network_name(manifest.network),
            members=len(manifest.members),
        )
        return found or untuned


def fastest(candidates: tuple[Candidate, ...]) -> Candidate | None:
    """The one of the smallest median that nothing speaks against; None if there is none."""
    able = [each for each in candidates if each.refused is None and each.p50_ms is not None]
    return min(able, key=lambda each: each.p50_ms or 0.0, default=None)


def bundle_hash(manifest: BundleManifest) -> str:
    """Hash of a manifest, which names the hashes of all its files."""
    return hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()


def network_name(network: Mapping[str, object]) -> str:
    """An architecture as one line."""
    return json.dumps(network, sort_keys=True)


def machine_name() -> str:
    """What the speed of back ends depends on: system, processor and how many of them there are."""
    return f"{platform.system()} {platform.machine()} {_processor()} x{os.cpu_count()}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _key(record: TuningRecord) -> tuple[str, int, str]:
    return record.machine, record.threads, record.bundle_sha256
