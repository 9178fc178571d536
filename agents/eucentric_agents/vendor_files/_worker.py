"""The process that reads vendors' files: `python -m eucentric_agents.vendor_files._worker`.

A line of JSON on standard input asks for one file; the answer is a folder of `.npy` arrays and a
`reply.json`, written last and renamed into place. It ends when its standard input does.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eucentric_core import DataFormatError, ErrorReport, EucentricError, OutOfSpaceError, require_free_space
from eucentric_core import write_atomic as write_whole

from ._errors import refuse_file
from ._reader import load_signals
from ._signal import VendorSignal

__all__ = ["answer", "main"]

_SPARE_BYTES = 64 << 20


def main() -> None:
    """Answer requests until standard input ends."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    _limit_memory(int(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        answer(Path(request["path"]), Path(request["folder"]), images_only=request["images_only"])


def answer(path: Path, folder: Path, *, images_only: bool) -> None:
    """Read one file and leave arrays and answer in a folder; an error is an answer, too."""
    try:
        reply: dict[str, Any] = {"signals": _read(path, folder, images_only=images_only)}
    except EucentricError as error:
        reply = {"error": error.report().model_dump(mode="json")}
    except MemoryError:
        reply = {"error": _too_large(path).report().model_dump(mode="json")}
    except OSError as error:
        reply = {"error": _unreadable(path, error).model_dump(mode="json")}
    write_whole(folder / "reply.json", json.dumps(reply).encode())


def _read(path: Path, folder: Path, *, images_only: bool) -> list[dict[str, Any]]:
    signals = load_signals(path, images_only=images_only)
    require_free_space(folder, sum(signal.data.nbytes for signal in signals) + _SPARE_BYTES)
    return [_keep(path, folder, index, signal) for index, signal in enumerate(signals)]


def _keep(path: Path, folder: Path, index: int, signal: VendorSignal) -> dict[str, Any]:
    if signal.data.dtype.hasobject:
        raise refuse_file(path.name, "it holds objects instead of numbers")
    np.save(folder / f"{index}.npy", signal.data, allow_pickle=False)
    return {
        "axes": [asdict(axis) for axis in signal.axes],
        "title": signal.title,
        "signal_type": signal.signal_type,
        "reader": signal.reader,
        "metadata": signal.metadata,
        "original_metadata": signal.original_metadata,
        "remark": signal.remark,
    }


def _too_large(path: Path) -> DataFormatError:
    return refuse_file(path.name, "its reader wants more memory than it may have", "give it more.")


def _unreadable(path: Path, error: OSError) -> ErrorReport:
    if isinstance(error, FileNotFoundError):
        return refuse_file(path.name, "it is not there").report()
    kind = OutOfSpaceError if error.errno == 28 else DataFormatError
    return kind(
        f"{path.name}: {error.strerror or error}.",
        safe="nothing of the file was used.",
        next_step="check the disk and the file.",
    ).report()


def _limit_memory(memory_bytes: int) -> None:
    """Let the allocation fail, where the platform can, before the machine begins to swap."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    main()
