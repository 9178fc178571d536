"""What whoever imports files says about them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel, Identifier

__all__ = ["ImportOptions"]


class ImportOptions(FrozenModel):
    """How files are imported. What is given here wins over what a file says, and is noted beside it.

    Attributes:
        session: session, and so data set, that the frames become part of.
        instrument: whose frames they are.
        sample: of every file.
        material: of every file.
        stream: name of the stream; by default it follows from the kind of signal and its title.
        pixel_size_pm: pixel size of images, or step of a scan, along y and x.
        energy_dispersion_ev: width of a channel of spectra.
        energy_offset_ev: energy of their first channel.
        signals: titles of the signals to take, of files that hold several; empty for all.
        calibrated_only: leave out signals without a calibration instead of refusing their file.
        anisotropic: believe a file whose pixel sizes along y and x differ.
        simulated: the data were computed, not measured.
        keep_open: leave the session open, for more files later.
        timeout_s: for reading one file.
        memory_bytes: most memory for reading one file.
    """

    session: Identifier
    instrument: Identifier = "imported"
    sample: Identifier | None = None
    material: Identifier | None = None
    stream: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")] | None = None
    pixel_size_pm: Annotated[float, Field(gt=0, le=1e9)] | None = None
    energy_dispersion_ev: Annotated[float, Field(gt=0, le=1e4)] | None = None
    energy_offset_ev: Annotated[float, Field(ge=-1e5, le=1e6)] | None = None
    signals: tuple[str, ...] = ()
    calibrated_only: bool = False
    anisotropic: bool = False
    simulated: bool = False
    keep_open: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=86400)] = 300.0
    memory_bytes: Annotated[int, Field(ge=256 << 20, le=1 << 40)] = 4 << 30
