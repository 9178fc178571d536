"""Sends one file to a store, in a process of its own that a test can kill: ADDRESS SETTINGS FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from eucentric_core import S3Settings
from eucentric_transfer import MoverOptions, open_mover

if __name__ == "__main__":
    address, settings, source = sys.argv[1:]
    mover = open_mover(address, options=MoverOptions(s3=S3Settings.model_validate_json(settings)))
    mover.put(Path(source), "incoming/large.h5")
