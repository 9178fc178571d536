"""One file: which one it is, and what of it would be recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from eucentric_core import EucentricError, sha256_file

from ..vendor_files import ApartReader, VendorSignal, is_whole_in_one_file, refuse_file
from ._options import ImportOptions
from ._planned import LeftOut, PlannedSignal, plan_signals
from ._report import FileReport, LeftOutReport, SignalReport

__all__ = ["described", "hash_of", "planned_of"]


def hash_of(path: Path) -> str | EucentricError:
    """The content hash of a file, or why there is none."""
    if not path.is_file():
        return refuse_file(path.name, "there is no such file" if not path.exists() else "it is no plain file")
    try:
        return sha256_file(path)
    except OSError as error:
        return refuse_file(path.name, f"it cannot be read ({error.strerror})", "check its permissions.")


def planned_of(
    reader: ApartReader, path: Path, sha256: str, options: ImportOptions
) -> tuple[str, list[PlannedSignal], list[LeftOut]]:
    """Read a file and decide what becomes of it; see `plan_signals`.

    Returns:
        The hash by which it is known when it comes again: its own, or where data lie in files beside it,
        one of it and of the data. What is recorded, and what is left out.

    Raises:
        DataFormatError: it is not the file that was hashed, cannot be read, or cannot become frames.
        ConfigurationError: a package for its format is missing.
    """
    signals = reader.read(path)
    if sha256_file(path) != sha256:
        raise refuse_file(path.name, "it changed while it was read", "wait until it is written.")
    return (_identity(path, sha256, signals), *plan_signals(path.name, signals, options))


def _identity(path: Path, sha256: str, signals: Sequence[VendorSignal]) -> str:
    if is_whole_in_one_file(path):
        return sha256
    digest = hashlib.sha256(sha256.encode())
    for signal in signals:
        digest.update(f"{signal.data.dtype.str}{signal.data.shape}".encode())
        for part in signal.data if signal.data.ndim > 1 else [signal.data]:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def described(
    path: Path,
    sha256: str,
    verdict: Literal["imported", "importable"],
    planned: Sequence[PlannedSignal],
    left: Sequence[LeftOut],
) -> FileReport:
    """What was, or would be, recorded of a file."""
    return FileReport(
        file=str(path),
        verdict=verdict,
        sha256=sha256,
        frames=sum(signal.frames for signal in planned),
        signals=tuple(SignalReport.of(signal) for signal in planned),
        left_out=tuple(LeftOutReport.of(item) for item in left),
    )
