"""What is copied into a notebook is run as it stands."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import nbformat
import numpy as np
import pytest

from eucentric_core import Settings, load_settings
from eucentric_dashboard.pages.data._snippets import SNIPPETS, notebook, snippet
from eucentric_data_repository import Database, database_of, open_catalogue
from eucentric_models import DEMO_CONDITIONS

from ...flows.recorded_session import register_session

DATASET = "microscope-1.series"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A repository with one session of two shards."""
    settings = load_settings(flags={"home": str(tmp_path_factory.mktemp("home"))}, environment={})
    register_session(settings.repository_path, "series", 12, DEMO_CONDITIONS.drifted, shape=(48, 64))
    return settings


@pytest.fixture(scope="module")
def recorded(site: Settings) -> np.ndarray:
    """The frames of the session, `(12, 48, 64)`."""
    with open_catalogue(site) as catalogue:
        return np.stack([frame.array for frame in catalogue.frames("series", "haadf")])


def run(cells: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Execute cells one after the other, as a notebook in `folder` would."""
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile(cell, "cell", "exec"), names)  # noqa: S102 - that is what a notebook does
    return names


def cells_of(kind: str, site: Settings) -> tuple[str, ...]:
    return snippet(kind, DATASET, "haadf", database_of(site))


def test_h5py_reads_the_frames_that_were_recorded(
    site: Settings, recorded: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = run(cells_of("h5py", site), tmp_path, monkeypatch)

    assert np.array_equal(names["frames"], recorded)  # type: ignore[arg-type]
    assert names["pixel_size_m"] == pytest.approx(DEMO_CONDITIONS.drifted.pixel_size_m)


@pytest.mark.slow
def test_hyperspy_opens_them_as_one_calibrated_signal(
    site: Settings, recorded: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed (GPL, extra hyperspy)")
    names = run(cells_of("hyperspy", site), tmp_path, monkeypatch)

    signal = names["signal"]
    assert np.array_equal(signal.data, recorded)  # type: ignore[attr-defined]
    x = signal.axes_manager.signal_axes[0]  # type: ignore[attr-defined]
    assert (x.scale, x.units) == (pytest.approx(DEMO_CONDITIONS.drifted.pixel_size_m), "m")


def test_napari_is_handed_the_frames_and_their_pixel_size(
    site: Settings, recorded: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *reading, showing = cells_of("napari", site)
    names = run(tuple(reading), tmp_path, monkeypatch)

    assert np.array_equal(names["frames"], recorded)  # type: ignore[arg-type]
    compile(showing, "cell", "exec")
    assert "(1, pixel_size_nm, pixel_size_nm)" in showing
    if importlib.util.find_spec("napari") is None:
        pytest.skip("the window itself was not opened: napari is not installed")
    exec(showing.replace("napari.run()", "viewer.close()"), names)  # noqa: S102


@pytest.mark.parametrize("kind", SNIPPETS)
def test_every_kind_is_a_notebook_that_jupyter_takes(kind: str, site: Settings) -> None:
    text = notebook(DATASET, cells_of(kind, site))

    nbformat.validate(nbformat.reads(text, as_version=4))  # type: ignore[no-untyped-call]
    assert json.loads(text)["cells"][0]["source"] == f"# {DATASET}"


def test_with_a_database_server_the_settings_say_where_it_is(tmp_path: Path) -> None:
    database = Database("postgresql+psycopg://hub@db.example/catalogue", tmp_path)

    fetch, *_ = snippet("h5py", 'odd"name', "haadf", database)

    assert "open_catalogue(load_settings())" in fetch
    assert "db.example" not in fetch
    assert 'odd\\"name' in fetch
    compile(fetch, "cell", "exec")
