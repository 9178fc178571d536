"""What can be chosen about a watched folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from .._options import DriverOptions

__all__ = ["WatchfolderOptions"]

_Pattern = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\]+$")]


class WatchfolderOptions(DriverOptions):
    """Options of the driver `watchfolder`.

    Attributes:
        path: the folder that the microscope writes to; nothing in it is ever changed.
        ledger: SQLite file that remembers what was taken, outside of that folder.
        patterns: names to pick up, such as `*.dm4`; none: every file that some reader knows.
        recursive: whether folders inside it are watched as well.
        settle_s: a file is finished once it has not changed for so long.
        poll_s: time between two looks at the folder.
        wait_s: longest wait of `scan.acquire` for the next file.
        pixel_size_m: pixel size along y and x, for files that carry none.
        dataset: which of several: the path of an HDF5 data set, or the title of a vendor file's signal.
        labelled: publish the labels in or beside a file as `truth`.
    """

    path: Path
    ledger: Path
    patterns: Annotated[tuple[_Pattern, ...], Field(max_length=50)] = ()
    recursive: bool = False
    settle_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    poll_s: Annotated[float, Field(ge=0.005, le=60)] = 0.5
    wait_s: Annotated[float, Field(gt=0, le=86400)] = 300.0
    pixel_size_m: Annotated[float, Field(gt=0, le=1e-5)] | None = None
    dataset: str | None = None
    labelled: bool = False

    @model_validator(mode="after")
    def _ledger_outside(self) -> Self:
        folder = self.path.expanduser().resolve()
        if self.ledger.expanduser().resolve().is_relative_to(folder):
            raise ValueError("the ledger lies in the watched folder, in which nothing is changed")
        return self
