"""The table of docs/importing.md: what becomes of every real file in the shared data.

`python -m tests.agents.importing.real_files` prints it; `test_real_files.py` holds the document to it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from eucentric_agents.importing import FileReport, ImportOptions, SignalReport, described, plan_signals
from eucentric_agents.vendor_files import ApartReader
from eucentric_core import EucentricError

__all__ = ["BEGIN", "CASES", "END", "Case", "look_at", "shared_data", "table"]

BEGIN, END = "<!-- real files: begin -->", "<!-- real files: end -->"


@dataclass(frozen=True)
class Case:
    """A real file, and what is said about it when it is imported."""

    file: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def given(self) -> str:
        """The options as they are typed."""
        typed = {"pixel_size_pm": "--pixel-size-pm {}", "calibrated_only": "--calibrated-only"}
        return " ".join(f"`{typed[name].format(value)}`" for name, value in self.options.items())


_PERMISSIVE, _COPYLEFT = "permissive", "copyleft_gpl3"
_FILES: tuple[tuple[str, tuple[dict[str, Any], ...]], ...] = (
    (f"{_PERMISSIVE}/baghizadeh_MIT/BTO_crystal_1.dm4", ({},)),
    (f"{_PERMISSIVE}/pytemlib_MIT/EELS_STO.dm3", ({},)),
    (f"{_PERMISSIVE}/pytemlib_MIT/AL-DFoffset0.00.dm3", ({},)),
    (f"{_PERMISSIVE}/pytemlib_MIT/EDS-STO.emd", ({},)),
    (f"{_PERMISSIVE}/scifireaders_MIT/EMDReader_SpectrumImage_Si.emd", ({},)),
    (f"{_PERMISSIVE}/atomsegnet_MIT/Grain_boundry_gold_512px.png", ({},)),
    (f"{_PERMISSIVE}/atomsegnet_MIT/10_dso_8nm_none_none.png", ({}, {"pixel_size_pm": 7.8125})),
    (f"{_PERMISSIVE}/pychip_BSD/fig2_A/STO-Ge-HAADF.jpg", ({},)),
    (f"{_PERMISSIVE}/pychip_BSD/fig2_b/LaO.png", ({},)),
    (f"{_COPYLEFT}/temul/example_Se_implanted_MoS2.dm3", ({},)),
    (f"{_COPYLEFT}/atomap/test_ADF_cropped.hdf5", ({}, {"pixel_size_pm": 9.3})),
    (f"{_COPYLEFT}/atomap/test_ABF_cropped.hdf5", ({}, {"pixel_size_pm": 9.3})),
    (f"{_COPYLEFT}/atomap/example_detector_image.hspy", ({},)),
    (f"{_COPYLEFT}/particlespy/JEOL HAADF Image.dm4", ({},)),
    (f"{_COPYLEFT}/rosettasciio/rsciio_multi_signal.dm3", ({}, {"calibrated_only": True})),
    (f"{_COPYLEFT}/rosettasciio/rsciio_EELS_SI.dm4", ({},)),
    (f"{_COPYLEFT}/rosettasciio/rsciio_test1.blo", ({},)),
    (f"{_COPYLEFT}/rosettasciio/example_velox_EELS_EDS.emd", ({}, {"calibrated_only": True})),
    (
        f"{_COPYLEFT}/singleorigin/data_scan70_id2154_electronsdrift_corr_DPC_processdate_20230102_hp_reg_0.01_"
        "lp_reg100.tif",
        ({},),
    ),
    (f"{_COPYLEFT}/kikuchipy/patterns.h5", ({},)),
)
CASES = tuple(Case(file, options) for file, several in _FILES for options in several)
"""Every real file that a reader of RosettaSciIO claims, once for each way of importing it that is shown."""


def shared_data() -> Path | None:
    """The folder of real files: below `EUCENTRIC_SHARED`, or beside the repository; None if there is none."""
    beside = Path(__file__).resolve().parents[3].parent / "shared"
    folder = Path(os.environ.get("EUCENTRIC_SHARED", beside)) / "data"
    return folder if folder.is_dir() else None


def look_at(reader: ApartReader, folder: Path, case: Case) -> FileReport:
    """What an import of a real file does."""
    path = folder / case.file
    try:
        planned, left = plan_signals(
            path.name, reader.read(path), ImportOptions(session="s1", **case.options)
        )
    except EucentricError as error:
        return FileReport(file=path.name, verdict="refused", error=error.report())
    return described(path, "0" * 64, "importable", planned, left)


def table(reader: ApartReader, folder: Path) -> Iterator[str]:
    """The lines of the table."""
    yield "| file | given | imported as | shape | dtype | calibration | high tension | verdict |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for case in CASES:
        yield from _rows(case, look_at(reader, folder, case))


def _rows(case: Case, report: FileReport) -> Iterator[str]:
    name = Path(case.file).name
    name = name if len(name) < 48 else f"{name[:20]}…{name[-20:]}"
    if report.error is not None:
        why = report.error.what.partition(": ")[2].partition(" (")[0].rstrip(".")
        yield f"| {name} | {case.given} | | | | | | refused: {why} |"
        return
    for number, (facts, signals) in enumerate(groupby(report.signals, key=_facts)):
        count = len(list(signals))
        kind = f"{count} x {facts[0]}" if count > 1 else facts[0]
        head = (name, case.given) if number == 0 else ("", "")
        left = f", {len(report.left_out)} left out" if report.left_out else ""
        verdict = f"imported{left}" if number == 0 else ""
        yield f"| {' | '.join((*head, kind, *facts[1:], verdict))} |"


def _facts(signal: SignalReport) -> tuple[str, ...]:
    tension = "" if signal.high_tension_v is None else f"{signal.high_tension_v / 1e3:.4g} kV"
    shape = " x ".join(map(str, signal.shape))
    return (signal.kind, shape, signal.dtype, signal.calibration, tension)


if __name__ == "__main__":
    found = shared_data()
    if found is None:
        sys.exit("there are no shared data")
    with tempfile.TemporaryDirectory() as scratch, ApartReader(Path(scratch)) as opened:
        sys.stdout.write("\n".join(table(opened, found)) + "\n")
