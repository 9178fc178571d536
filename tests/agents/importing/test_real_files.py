"""Every real file there is: what becomes of it is what the documents say, and what is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucentric_agents.vendor_files import ApartReader, reader_suffixes

from .conftest import Home
from .real_files import BEGIN, CASES, END, Case, look_at, shared_data, table

FOLDER = shared_data()
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="the real files are not here (EUCENTRIC_SHARED names the folder above data/)"
)


@pytest.fixture(scope="module")
def folder() -> Path:
    assert FOLDER is not None
    return FOLDER


def test_the_document_has_the_table_as_it_comes_out(
    reader: ApartReader, repository: Path, folder: Path
) -> None:
    text = (repository / "docs" / "importing.md").read_text(encoding="utf-8")
    written = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    assert written == list(table(reader, folder))


def test_no_file_that_a_reader_claims_is_left_out_of_the_table(folder: Path) -> None:
    # The chips are cut out of the images beside them; a .csv is no file of a microscope here.
    claimed = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in reader_suffixes() - {".csv"}
        and not {"query", "support_set"} & set(path.relative_to(folder).parts)
    }
    simulated = {f"permissive/atomsegnet_MIT/{name}.png" for name in ("11133", "12219")}
    assert claimed - simulated == {case.file for case in CASES}


@pytest.mark.parametrize(
    ("file", "axis", "scale", "high_tension_v"),
    [
        ("permissive/baghizadeh_MIT/BTO_crystal_1.dm4", "x", 29.7e-12, None),
        ("copyleft_gpl3/temul/example_Se_implanted_MoS2.dm3", "x", 12.7e-12, 60e3),
        ("permissive/pytemlib_MIT/EELS_STO.dm3", "energy", 0.25, 200e3),
        ("permissive/pytemlib_MIT/AL-DFoffset0.00.dm3", "energy", 0.02, 200e3),
    ],
)
def test_the_calibration_is_what_is_known_of_the_file(
    reader: ApartReader, folder: Path, file: str, axis: str, scale: float, high_tension_v: float | None
) -> None:
    (signal,) = look_at(reader, folder, Case(file)).signals
    scales = {item.name: item.scale for item in signal.axes}
    assert scales[axis] == pytest.approx(scale, rel=0.01)
    assert signal.high_tension_v == (
        None if high_tension_v is None else pytest.approx(high_tension_v, rel=1e-3)
    )


def test_the_field_of_a_labelled_image_is_what_its_name_says(reader: ApartReader, folder: Path) -> None:
    file = "permissive/atomsegnet_MIT/10_dso_8nm_none_none.png"
    (signal,) = look_at(reader, folder, Case(file, {"pixel_size_pm": 8000 / 1024})).signals
    assert signal.shape[1] * signal.axes[1].scale == pytest.approx(8e-9)


def test_real_files_arrive_in_the_repository_with_their_calibration(home: Home, folder: Path) -> None:
    files = [
        folder / "permissive/baghizadeh_MIT/BTO_crystal_1.dm4",
        folder / "permissive/pytemlib_MIT/EELS_STO.dm3",
        folder / "permissive/scifireaders_MIT/EMDReader_SpectrumImage_Si.emd",
        folder / "copyleft_gpl3/rosettasciio/rsciio_EELS_SI.dm4",
        folder / "copyleft_gpl3/rosettasciio/rsciio_test1.blo",
    ]
    report = home.take(*files)
    assert [file.verdict for file in report.files] == ["imported"] * len(files)
    (barium_titanate,) = home.frames("image")
    assert barium_titanate.header.pixel_size_m == pytest.approx(29.66e-12, rel=1e-3)
    assert barium_titanate.array.shape == (413, 469)
    (strontium_titanate,) = home.frames("eels")
    energy = strontium_titanate.header.axes[0]
    assert (energy.unit, energy.scale, energy.offset) == ("eV", 0.25, 350.0)
    (silicon,) = home.frames("eds.map")
    assert silicon.array.shape == (16, 16, 4096)
    assert silicon.header.stage.x_m == pytest.approx(-9.37e-6, rel=1e-2)
    (map_of_losses,) = home.frames("eels.map")
    assert [axis.name for axis in map_of_losses.header.axes] == ["y", "x", "energy"]
    assert map_of_losses.header.vendor_metadata is not None
    (patterns,) = home.frames("diffraction")
    assert patterns.array.shape == (3, 2, 144, 144)
