"""A small file to the far end and back."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from eucentric_core import Settings

__all__ = ["Step", "run_check"]


class Step(TypedDict):
    """What was done, and how long it took."""

    step: str
    seconds: float


def run_check(
    settings: Settings, address: str, size_bytes: int, *, tell: Callable[[str], object] | None
) -> list[Step]:
    """Send random bytes, fetch them, compare the hashes, remove them; the first step that fails raises.

    Raises:
        EucentricError: a step failed.
        IntegrityError: what came back is not what was sent.
    """
    from eucentric_transfer import MoverOptions, open_mover

    content = secrets.token_bytes(size_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"eucentric-check/{secrets.token_hex(8)}.bin"
    steps: list[Step] = []
    mover = open_mover(address, options=MoverOptions(globus=settings.globus.within(settings.home)))

    def timed(step: str, do: Callable[[], object]) -> None:
        begin = time.monotonic()
        do()
        steps.append({"step": step, "seconds": round(time.monotonic() - begin, 3)})
        if tell is not None:
            tell(f"{step:10} {steps[-1]['seconds']:8.2f} s")

    try:
        with tempfile.TemporaryDirectory(prefix="eucentric-check-") as folder:
            back = Path(folder) / "back.bin"
            timed("send", lambda: mover.put_bytes(content, name))
            timed("fetch", lambda: mover.get(name, back, sha256=sha256))
            timed("remove", lambda: mover.remove(name, sha256=sha256))
    finally:
        mover.close()
    return steps
