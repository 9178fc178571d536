"""temscript's own server with its null microscope, as a child process."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from eucentric_core import ManagedProcess, answers_ok
from eucentric_core.transport import find_free_port

__all__ = ["NullServer"]

_READY_S = 30.0
_GRACE_S = 3.0


class NullServer:
    """A SIMULATED microscope of temscript's, running on a free port of this machine.

    Raises:
        ServiceUnavailableError: it did not start.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="eucentric-temscript-"))
        port = find_free_port()
        self.address = f"127.0.0.1:{port}"
        program = str(Path(__file__).with_name("_null_server.py"))
        try:
            self._process = ManagedProcess(
                "the null microscope", [sys.executable, program, str(port)], log=self._folder / "server.log"
            )
            self._process.wait_ready(
                lambda: answers_ok(f"http://{self.address}/v1/version"), timeout_s=_READY_S
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def stop(self) -> None:
        """End the process and remove its log."""
        self._process.stop(grace_s=_GRACE_S)
        shutil.rmtree(self._folder, ignore_errors=True)
