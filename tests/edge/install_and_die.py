"""Installs a bundle and kills itself without warning at a named point. Run by `test_crash.py`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from eucentric_core import TrustedKeys
from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot


def main(folder: str, trusted: str, bundle: str, fatal_event: str, fatal_path: str) -> None:
    torch.set_num_threads(1)
    installer = Installer(
        Path(folder),
        KeyTrust(TrustedKeys.read(Path(trusted))),
        model_name="atoms",
        slot=ModelSlot(),
        opener=HereOpener("cpu"),
    )
    installer.start()

    def die_there(event: str, arguments: tuple[object, ...]) -> None:
        # The interpreter announces these operations just before it carries them out.
        if event == fatal_event and arguments and fatal_path in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die_there)
    installer.install(Path(bundle), frame_shape=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
