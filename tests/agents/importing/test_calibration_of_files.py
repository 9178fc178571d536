"""A calibration is confirmed or the file is refused; nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucentric_agents.importing import FileReport
from eucentric_agents.vendor_files import VendorAxis
from eucentric_agents.vendor_files._doubts import without_assumptions

from .conftest import Look
from .vendor_files import axis, write_hspy, write_mrc, write_ser

IMAGE = np.random.default_rng(1).integers(0, 4000, (20, 24), dtype=np.uint16)
SPECTRUM = np.random.default_rng(2).integers(0, 400, 64).astype("float32")


def axes_of(report: FileReport) -> dict[str, tuple[Any, ...]]:
    assert report.error is None, report.error
    return {a.name: (a.unit, pytest.approx(a.scale), pytest.approx(a.offset)) for a in report.signals[0].axes}


def refusal(report: FileReport) -> str:
    assert report.verdict == "refused"
    assert report.error is not None
    assert "nothing of the file" in report.error.safe
    return f"{report.error.code}: {report.error.what} {report.error.next_step}"


def image(path: Path, y: tuple[Any, ...], x: tuple[Any, ...], **more: Any) -> Path:
    return write_hspy(path / "image.hspy", IMAGE, [axis("y", *y), axis("x", *x)], **more)


@pytest.mark.parametrize(("unit", "scale"), [("nm", 0.025), ("µm", 2.5e-5), ("Å", 0.25), ("m", 2.5e-11)])
def test_an_image_in_any_unit_of_length(look: Look, tmp_path: Path, unit: str, scale: float) -> None:
    report = look(image(tmp_path, (unit, scale), (unit, scale)))
    assert axes_of(report) == {"y": ("m", 2.5e-11, 0.0), "x": ("m", 2.5e-11, 0.0)}
    assert (report.verdict, report.signals[0].kind, report.signals[0].stream) == (
        "importable",
        "image",
        "image",
    )


@pytest.mark.parametrize(
    ("y", "x", "why"),
    [
        ((None, 1.0), (None, 1.0), "does not say how large a pixel is"),
        (("px", 1.0), ("px", 1.0), "does not say how large a pixel is"),
        (("nm", 0.1), ("px", 1.0), "does not say how large a pixel is"),
        (("furlong", 0.1), ("furlong", 0.1), "nobody knows the unit 'furlong'"),
        (("nm", 0.1), ("nm", 0.12), "contradict each other"),
        (("nm", 0.0), ("nm", 0.1), "is 0 nm"),
        (("nm", 0.1), ("nm", -0.1), "is -0.1 nm"),
        (("nm", float("nan")), ("nm", 0.1), "no finite scale"),
        (("nm", 1e9), ("nm", 1e9), "not believable"),
        (("nm", 1e-9), ("nm", 1e-9), "not believable"),
    ],
)
def test_an_uncertain_pixel_size_is_refused_with_the_way_out(
    look: Look, tmp_path: Path, y: tuple[Any, ...], x: tuple[Any, ...], why: str
) -> None:
    text = refusal(look(image(tmp_path, y, x)))
    assert text.startswith("uncalibrated: ")
    assert why in text
    assert "--pixel-size-pm" in text


def test_a_given_pixel_size_wins(look: Look, tmp_path: Path) -> None:
    for y, x in (((None, 1.0), (None, 1.0)), (("nm", 0.1), ("nm", 0.9)), (("nm", 0.0), ("nm", 0.1))):
        report = look(image(tmp_path, y, x), pixel_size_pm=25)
        assert axes_of(report) == {"y": ("m", 2.5e-11, 0.0), "x": ("m", 2.5e-11, 0.0)}


def test_pixels_that_do_differ_are_believed_when_somebody_says_so(look: Look, tmp_path: Path) -> None:
    report = look(image(tmp_path, ("nm", 0.1), ("nm", 0.2)), anisotropic=True)
    assert axes_of(report) == {"y": ("m", 1e-10, 0.0), "x": ("m", 2e-10, 0.0)}
    rounded = look(image(tmp_path, ("nm", 0.1), ("nm", 0.1004)))
    assert rounded.verdict == "importable"


def test_a_spectrum(look: Look, tmp_path: Path) -> None:
    path = tmp_path / "spectrum.hspy"
    write_hspy(path, SPECTRUM, [axis("E", "keV", 2.5e-4, offset=0.35)], signal_type="EELS")
    report = look(path)
    assert axes_of(report) == {"energy": ("eV", 0.25, 350.0)}
    assert (report.signals[0].kind, report.signals[0].stream) == ("spectrum", "eels")


def test_a_spectrum_without_energies_is_refused_until_both_are_given(look: Look, tmp_path: Path) -> None:
    path = write_hspy(tmp_path / "s.hspy", SPECTRUM, [axis("E", None, 1.0)], signal_type="EELS")
    text = refusal(look(path))
    assert "no unit along energy" in text
    assert "--energy-dispersion-ev 0.25 --energy-offset-ev" in text
    assert "first channel" in refusal(look(path, energy_dispersion_ev=0.5))
    report = look(path, energy_dispersion_ev=0.5, energy_offset_ev=-20)
    assert axes_of(report) == {"energy": ("eV", 0.5, -20.0)}


def test_a_negative_dispersion_is_refused(look: Look, tmp_path: Path) -> None:
    path = write_hspy(tmp_path / "s.hspy", SPECTRUM, [axis("E", "eV", -0.5)], signal_type="EELS")
    assert "is -0.5 eV" in refusal(look(path))


def test_a_spectrum_image_in_whatever_order_has_its_energies_last(look: Look, tmp_path: Path) -> None:
    data = np.arange(4 * 3 * 32, dtype="float32").reshape(32, 4, 3)
    axes = [axis("E", "eV", 0.5, offset=100), axis("y", "nm", 2.0, navigate=True), axis("x", "nm", 2.0)]
    report = look(write_hspy(tmp_path / "map.hspy", data, axes, signal_type="EELS"))
    assert [a.name for a in report.signals[0].axes] == ["y", "x", "energy"]
    assert (report.signals[0].shape, report.signals[0].stream) == ((4, 3, 32), "eels.map")


def test_a_line_of_spectra(look: Look, tmp_path: Path) -> None:
    data = np.ones((5, 32), "uint16")
    path = write_hspy(tmp_path / "l.hspy", data, [axis("x", "nm", 2.0), axis("E", "eV", 0.5)])
    assert axes_of(look(path)) == {"x": ("m", 2e-9, 0.0), "energy": ("eV", 0.5, 0.0)}


def test_diffraction_in_inverse_lengths_and_in_angles(look: Look, tmp_path: Path) -> None:
    for unit, symbol, scale in (("1/nm", "1/m", 2e7), ("mrad", "rad", 2e-5)):
        path = tmp_path / "pattern.hspy"
        write_hspy(path, IMAGE, [axis("ky", unit, 0.02), axis("kx", unit, 0.02)])
        report = look(path)
        assert axes_of(report) == {"ky": (symbol, scale, 0.0), "kx": (symbol, scale, 0.0)}
        assert (report.signals[0].kind, report.signals[0].stream) == ("diffraction", "diffraction")
    mixed = write_hspy(path, IMAGE, [axis("ky", "1/nm", 0.02), axis("kx", "mrad", 0.02)])
    assert "one axis is in 1/m, the other in rad" in refusal(look(mixed))


def test_a_pixel_size_never_becomes_the_scale_of_a_detector(look: Look, tmp_path: Path) -> None:
    path = write_hspy(tmp_path / "d.hspy", IMAGE, [axis("ky", "1/nm", 0.02), axis("kx", "1/nm", 0.02)])
    assert axes_of(look(path, pixel_size_pm=25))["kx"] == ("1/m", 2e7, 0.0)


def test_scanned_diffraction_needs_the_steps_of_the_scan(look: Look, tmp_path: Path) -> None:
    data = np.ones((3, 2, 20, 24), "uint8")
    detector = [axis("ky", "mrad", 0.1), axis("kx", "mrad", 0.1)]
    path = write_hspy(tmp_path / "4d.hspy", data, [axis("y", None, 1.0), axis("x", None, 1.0), *detector])
    assert "how far the points of the scan are apart" in refusal(look(path))
    report = look(path, pixel_size_pm=500)
    assert axes_of(report)["x"] == ("m", 5e-10, 0.0)
    assert report.signals[0].shape == (3, 2, 20, 24)


def test_a_series_of_images_is_as_many_frames(look: Look, tmp_path: Path) -> None:
    data = np.ones((7, 20, 24), "uint16")
    for unit in ("s", None):
        axes = [axis("t", unit, 0.5), axis("y", "nm", 0.1), axis("x", "nm", 0.1)]
        report = look(write_hspy(tmp_path / "series.hspy", data, axes))
        assert (report.frames, report.signals[0].shape) == (7, (7, 20, 24))


def test_an_mrc_in_angstrom(look: Look, tmp_path: Path) -> None:
    stack = np.random.default_rng(3).random((3, 20, 24)).astype("float32")
    report = look(write_mrc(tmp_path / "stack.mrc", stack, pixel_size_angstrom=1.25))
    assert axes_of(report)["x"] == ("m", 1.25e-10, 0.0)
    assert (report.frames, report.signals[0].dtype) == (3, "float32")


def test_an_mrc_with_a_placeholder_is_not_believed(look: Look, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "one.mrc", np.ones((20, 24), "float32"), pixel_size_angstrom=1.0)
    assert "when they do not know" in refusal(look(path))
    assert axes_of(look(path, pixel_size_pm=100))["x"] == ("m", 1e-10, 0.0)
    nothing = write_mrc(tmp_path / "no.mrc", np.ones((20, 24), "float32"), pixel_size_angstrom=0.0)
    assert "is 0 nm" in refusal(look(nothing))


def test_a_ser_does_not_tell_an_image_from_a_diffraction_pattern(look: Look, tmp_path: Path) -> None:
    path = write_ser(tmp_path / "scan_1.ser", IMAGE, pixel_size_m=2.5e-11)
    text = refusal(look(path))
    assert "does not tell an image from a diffraction pattern: import its .emi" in text
    report = look(path, pixel_size_pm=25)
    assert axes_of(report)["x"] == ("m", 2.5e-11, 0.0)
    (tmp_path / "scan.emi").touch()
    assert "import scan.emi beside it" in refusal(look(path))


def test_offsets_of_tia_are_in_the_unit_of_their_scale() -> None:
    # The reader turns scales into nanometres and leaves offsets in metres; the mode says it is an image.
    axes = (VendorAxis("y", "nm", 0.025, 2e-7, False), VendorAxis("x", "nm", 0.025, 1e-7, False))
    known = {"ObjectInfo": {"ExperimentalDescription": {"Mode": "STEM nP SA Zoom Image"}}}
    mended, remark = without_assumptions(Path("scan.emi"), "TIA", axes, known)
    assert [item.offset for item in mended] == pytest.approx([200.0, 100.0])
    assert ([item.unit for item in mended], remark) == (["nm", "nm"], "")


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (np.array([[0, 1]] * 2, bool), "uint8"),
        (np.array([[-3, 1]] * 2, np.int8), "int16"),
        (np.array([[-3, 2**30]] * 2, np.int64), "int32"),
        (np.array([[0, 2**31]] * 2, np.uint64), "uint32"),
        (np.array([[0, 2**40]] * 2, np.int64), "float64"),
        (np.array([[0.5, 2.0]] * 2, ">f4"), "float32"),
        (np.array([[0.5, 2.0]] * 2, np.float16), "float16"),
    ],
)
def test_numbers_keep_their_values(look: Look, tmp_path: Path, data: np.ndarray, dtype: str) -> None:
    path = write_hspy(tmp_path / "n.hspy", data, [axis("y", "nm", 0.1), axis("x", "nm", 0.1)])
    assert look(path).signals[0].dtype == dtype


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (np.full((2, 2), 2**60 + 1, np.int64), "no frame holds exactly"),
        (np.ones((2, 2), np.complex64), "no frame holds exactly"),
        (np.array([[0.0, np.nan], [np.inf, 1.0]]), "2 of its 4 values are not finite"),
        (np.zeros((2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "colours"),
    ],
)
def test_numbers_that_no_frame_holds_are_refused(
    look: Look, tmp_path: Path, data: np.ndarray, why: str
) -> None:
    path = write_hspy(tmp_path / "n.hspy", data, [axis("y", "nm", 0.1), axis("x", "nm", 0.1)])
    assert why in refusal(look(path))


def test_what_is_given_is_kept_within_bounds(look: Look) -> None:
    with pytest.raises(ValueError, match="pixel_size_pm"):
        look(Path("x.hspy"), pixel_size_pm=0)
