"""`eucentric doctor` for the machine of the dashboard, as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from eucentric_core import ServiceUnavailableError, Settings

__all__ = ["DoctorFinding", "examine_this_machine", "read_findings"]

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One check: its status is `ok`, `warn`, `fail` or `absent`."""

    name: str
    status: str
    detail: str
    fix: str


def examine_this_machine(settings: Settings) -> tuple[DoctorFinding, ...]:
    """Run it and wait; nothing is changed.

    Raises:
        ServiceUnavailableError: it did not end, or said nothing that can be read.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "eucentric", "doctor", "--json"],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            text=True,
            env={**os.environ, "EUCENTRIC__HOME": str(settings.home)},
        )
        return read_findings(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise ServiceUnavailableError(
            f"`eucentric doctor` told nothing that can be read ({type(error).__name__}).",
            safe="nothing was changed.",
            next_step="run `eucentric doctor` on this machine.",
        ) from error


def read_findings(text: str) -> tuple[DoctorFinding, ...]:
    """What `eucentric doctor --json` printed."""
    return tuple(
        DoctorFinding(one["name"], one["status"], one["detail"], one["fix"])
        for one in json.loads(text)["findings"]
    )
