"""What a mover may be told besides its address."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from eucentric_core import GlobusSettings, S3Settings

from ._mover import Bandwidth, OnProgress

__all__ = ["MoverOptions"]


@dataclass(frozen=True, slots=True)
class MoverOptions:
    """What a mover may be told besides its address; each takes what concerns it.

    Args:
        state: folder for small files that let an interrupted transfer go on after a restart; it is made.
            None: such a transfer is found again at the far end if that is possible, else begun anew.
        bandwidth: what bytes that leave this machine are paid from, so that they leave control alone.
        paced: a folder's mover pays too, because the folder is a network share.
        stopping: when set, a transfer ends early with a `FarEndError`.
        on_progress: told now and then how far the present file has got.
        s3: settings of `s3://` addresses.
        globus: settings of `globus://` addresses, as `GlobusSettings.within` completes them.
    """

    state: Path | None = None
    bandwidth: Bandwidth | None = None
    paced: bool = False
    stopping: threading.Event | None = None
    on_progress: OnProgress | None = None
    s3: S3Settings = field(default_factory=S3Settings)
    globus: GlobusSettings = field(default_factory=GlobusSettings)
