"""What every benchmark shares: where it ran, what it ran with, and how it reports.

A benchmark is a script beside this one that measures and ends with `report(figures)`: it prints for people
by default, and with `--json` one JSON object on its last line: its keys, beside `machine` and `versions`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

BASE_PACKAGES = ("eucentric", "numpy")


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has: `--json` and `--quick`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--quick", action="store_true", help="measure less: figures are rougher")
    return parser


def machine() -> dict[str, Any]:
    """Return what the figures depend on, without anything that tells whose machine it is."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average_1min": round(psutil.getloadavg()[0], 2),
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python, of the base packages and of `packages`, as installed."""
    found = {"python": platform.python_version()}
    for package in (*BASE_PACKAGES, *packages):
        found[package] = importlib.metadata.version(package)
    return found


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile of `samples`: `share` 0.99 is the p99.

    Raises:
        ValueError: there are no samples, or `share` lies outside (0, 1].
    """
    if not samples or not 0 < share <= 1:
        raise ValueError(f"need samples and a share in (0, 1], got {len(samples)} samples and share {share}")
    return sorted(samples)[math.ceil(share * len(samples)) - 1]


def report(figures: Mapping[str, Any], *, as_json: bool, packages: Sequence[str] = ()) -> None:
    """Print `figures` beside `machine` and `versions`: one line of JSON, or one line for each key."""
    whole = {**figures, "machine": machine(), "versions": versions(*packages)}
    if as_json:
        print(json.dumps(whole, allow_nan=False), flush=True)
        return
    width = max(map(len, whole))
    for key, value in whole.items():
        print(f"{key:<{width}}  {value}")
    sys.stdout.flush()


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
