"""Room and speed of the disk that holds recordings until they are shipped."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from eucentric_core import Settings

from ._finding import Finding

__all__ = ["check_disk", "measure_writing"]

_COMFORTABLE_BYTES = 5 << 30
_SLOW_BYTES_PER_S = 50e6
_SLOW_FSYNC_S = 0.05
_BLOCK_BYTES = 8 << 20
_FSYNCS = 5


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Free space where `home` lies, whether it can be written, and how fast."""
    folder = _existing(settings.home)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < settings.agent.min_free_bytes:
        needed = settings.agent.min_free_bytes / 2**30
        yield Finding(
            name="disk space",
            status="fail",
            detail=f"{detail}, the recorder keeps {needed:.1f} GiB free and would not start",
            fix="free space, or set `home` to a larger disk",
        )
    elif free < _COMFORTABLE_BYTES:
        yield Finding(
            name="disk space",
            status="warn",
            detail=f"{detail}: little for recordings that wait to be shipped",
            fix="free space, or set `home` to a larger disk",
        )
    else:
        yield Finding(name="disk space", status="ok", detail=detail)
    yield _check_writing(folder)


def _check_writing(folder: Path) -> Finding:
    try:
        bytes_per_s, fsync_s = measure_writing(folder)
    except OSError as error:
        return Finding(
            name="disk writing",
            status="fail",
            detail=f"{folder} cannot be written: {error.strerror or error}",
            fix="correct its permissions, or set `home` to a folder of this user",
        )
    detail = f"{bytes_per_s / 1e6:.0f} MB/s, {fsync_s * 1e3:.1f} ms until a small write is durable"
    if bytes_per_s < _SLOW_BYTES_PER_S or fsync_s > _SLOW_FSYNC_S:
        return Finding(
            name="disk writing",
            status="warn",
            detail=f"{detail}: acquisition may wait for this disk",
            fix="set `home` to a local SSD",
        )
    return Finding(name="disk writing", status="ok", detail=detail)


def measure_writing(folder: Path) -> tuple[float, float]:
    """Write and fsync into a folder; nothing stays behind.

    Returns:
        Speed of one large durable write (bytes/s) and median time of a small one (s).

    Raises:
        OSError: the folder cannot be written.
    """
    with tempfile.TemporaryFile(dir=folder) as stream:
        large_s = _durable_write_s(stream.fileno(), os.urandom(_BLOCK_BYTES))
        small_s = statistics.median(_durable_write_s(stream.fileno(), bytes(4096)) for _ in range(_FSYNCS))
    return _BLOCK_BYTES / large_s, small_s


def _durable_write_s(descriptor: int, content: bytes) -> float:
    started = time.perf_counter()
    os.write(descriptor, content)
    os.fsync(descriptor)
    return time.perf_counter() - started


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())
