"""Freed memory is used again, where the system can be told so, and where nobody has said otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
from eucentric_core.transport._heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytearray(8 << 20) for _ in range(8)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(), faults()
usual = faults()
done = keep_freed_memory()
faults()
print(done, usual, faults())
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this is about glibc's allocator")


def _run(**variables: str) -> tuple[bool, int, int]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS], env=kept | variables, capture_output=True, text=True, check=True
    )
    was_done, usual, kept_faults = done.stdout.split()
    return was_done == "True", int(usual), int(kept_faults)


def test_freed_memory_is_used_again() -> None:
    was_done, usual, kept = _run()
    assert was_done
    assert kept * 4 < usual


def test_settings_of_the_environment_stay_in_force() -> None:
    was_done, _, _ = _run(MALLOC_TRIM_THRESHOLD_="131072")
    assert not was_done
