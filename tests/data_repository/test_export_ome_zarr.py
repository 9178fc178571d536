"""A data set becomes OME-Zarr that others read: values, units, pyramid, provenance; whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ngff_zarr import from_ngff_zarr
from ome_zarr_models import open_ome_zarr
from ome_zarr_models.v05.bioformats2raw import BioFormats2RawAttrs
from ome_zarr_models.v05.image import Image

from eucentric_core import Axis, ConfigurationError, DataFormatError, Frame, IntegrityError
from eucentric_data_repository.export import export_ome_zarr

from ..frames import build_frame, frame_around

# One kind of database is enough here: what is exported is the same.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def opened(path: Path) -> Any:
    return zarr.open_group(str(path), mode="r")


def picture(
    sequence: int, shape: tuple[int, int] = (300, 270), dtype: str = "uint16", **header: Any
) -> Frame:
    values = np.random.default_rng(sequence).integers(0, 4000, shape).astype(dtype)
    return frame_around(values, sequence, **header)


def spectrum_image(sequence: int, ny: int = 6, nx: int = 5, channels: int = 70) -> Frame:
    values = np.random.default_rng(sequence).integers(0, 50, (ny, nx, channels)).astype("uint16")
    axes = (
        Axis(name="y", unit="m", scale=2e-9, offset=1e-8),
        Axis(name="x", unit="m", scale=2e-9),
        Axis(name="energy", unit="eV", scale=0.25, offset=350.0),
    )
    return frame_around(values, sequence, stream="eels.map", axes=axes)


def deliver(repository: Any, sender: Any, *groups: Sequence[Frame]) -> None:
    shards = [sender.seal_frames(frames, index=index) for index, frames in enumerate(groups)]
    for shard in shards:
        sender.deliver(shard)
    sender.deliver_manifest(sender.manifest(*shards))
    repository.ingest()


def test_two_independent_readers_open_what_was_recorded(repository: Any, sender: Any, tmp_path: Path) -> None:
    frames = [picture(n, pixel_size_m=2e-11, offset_m=1e-9) for n in range(5)]
    deliver(repository, sender, frames[:3], frames[3:])
    steps: list[tuple[int, int]] = []
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(
            catalogue, "twin.s1", tmp_path, progress=lambda done, total: steps.append((done, total))
        )
    assert path == tmp_path / "twin.s1.ome.zarr"
    assert steps == [(n, 5) for n in range(1, 6)]
    stack = np.stack([frame.array for frame in frames])

    image = from_ngff_zarr(path / "haadf", validate=True).images[0]
    assert image.dims == ("t", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), stack)
    assert image.scale["y"] == pytest.approx(0.02)
    assert image.scale["x"] == pytest.approx(0.02)
    assert image.translation["x"] == pytest.approx(1.0)
    assert image.axes_units == {"t": None, "y": "nanometer", "x": "nanometer"}

    group = opened(path)
    np.testing.assert_array_equal(group["haadf/0"][:], stack)
    assert isinstance(open_ome_zarr(group["haadf"]), Image)
    collection = BioFormats2RawAttrs.model_validate(group.attrs["ome"])
    assert (collection.version, collection.bioformats2raw_layout) == ("0.5", 3)
    assert group["OME"].attrs["ome"] == {"version": "0.5", "series": ["haadf"]}


def test_the_pyramid_is_the_mean_of_the_pixels_and_lies_where_they_lie(
    repository: Any, sender: Any, tmp_path: Path
) -> None:
    frame = picture(0, (301, 270), dtype="float32")
    deliver(repository, sender, [frame])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path / "out.ome.zarr")
    image = opened(path / "haadf")
    assert [image[str(level)].shape for level in range(2)] == [(1, 301, 270), (1, 151, 135)]
    expected = frame.array[:300].reshape(150, 2, 135, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(image["1"][0, :150], expected, rtol=1e-6)
    # At the odd edge only what is there counts.
    np.testing.assert_allclose(image["1"][0, 150], frame.array[300].reshape(135, 2).mean(axis=1), rtol=1e-6)
    first, second = image.attrs["ome"]["multiscales"][0]["datasets"]
    (scale, move), (_, moved) = (
        [list(t.values())[1] for t in level["coordinateTransformations"]] for level in (second, first)
    )
    assert scale == pytest.approx([1, 0.04, 0.04])
    assert move == pytest.approx([0, 0.01, 0.01])
    assert moved == pytest.approx([0, 0, 0])


def test_many_frames_are_few_files(repository: Any, sender: Any, tmp_path: Path) -> None:
    deliver(repository, sender, [picture(n, (64, 48)) for n in range(200)])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    array = opened(path)["haadf/0"]
    assert (array.chunks, array.shards) == ((1, 64, 48), (200, 64, 48))
    assert sum(1 for file in path.rglob("*") if file.is_file()) < 8


def test_what_a_viewer_shows_and_where_it_came_from(repository: Any, sender: Any, tmp_path: Path) -> None:
    deliver(repository, sender, [picture(0), picture(1)])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    root = opened(path)
    facts = root.attrs["eucentric"]
    assert facts["notice"].startswith("SIMULATED")
    assert [s["sha256"] for s in facts["source_shards"]] == [shard.sha256 for shard in sender.sealed]
    assert (facts["dataset_id"], facts["material"], facts["state"]) == ("twin.s1", "mos2", "complete")
    image = root["haadf"].attrs
    assert image["ome"]["multiscales"][0]["name"] == "haadf SIMULATED"
    window = image["ome"]["omero"]["channels"][0]["window"]
    assert window["min"] == 0
    assert window["min"] <= window["start"] < window["end"] <= window["max"] < 4000
    assert [frame["sequence"] for frame in image["eucentric"]["frames"]] == [0, 1]
    assert image["eucentric"]["optics"]["high_tension_v"] == 60e3


def test_measured_data_are_not_called_simulated(repository: Any, sender: Any, tmp_path: Path) -> None:
    deliver(repository, sender, [picture(0, simulated=False)])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    text = (path / "zarr.json").read_text() + (path / "haadf" / "zarr.json").read_text()
    assert "SIMULATED" not in text


def test_frames_of_other_shape_or_calibration_are_images_of_their_own(
    repository: Any, sender: Any, tmp_path: Path
) -> None:
    frames = [
        picture(0, (32, 32)),
        picture(1, (32, 48)),
        picture(2, (32, 32)),
        picture(3, (32, 32), pixel_size_m=5e-11),
        picture(4, (32, 32), dtype="float32"),
    ]
    deliver(repository, sender, frames)
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    root = opened(path)
    assert root["OME"].attrs["ome"]["series"] == ["haadf.0", "haadf.1", "haadf.2", "haadf.3"]
    np.testing.assert_array_equal(root["haadf.0/0"][1], frames[2].array)
    assert [root[f"haadf.{n}/0"].shape for n in range(4)] == [
        (2, 32, 32),
        (1, 32, 48),
        (1, 32, 32),
        (1, 32, 32),
    ]
    assert from_ngff_zarr(path / "haadf.2", validate=True).images[0].scale["x"] == pytest.approx(0.05)


def test_a_stream_that_is_no_folder_s_name_everywhere_becomes_one(
    repository: Any, sender: Any, tmp_path: Path
) -> None:
    streams = ("aux", "com1.fast", "haadf.", "ome", "stream-aux")
    deliver(repository, sender, [picture(0, (32, 32), stream=stream) for stream in streams])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    root = opened(path)
    images = root["OME"].attrs["ome"]["series"]
    assert sorted(images) == ["stream-aux", "stream-aux_", "stream-com1.fast", "stream-haadf", "stream-ome"]
    assert {root[image].attrs["eucentric"]["stream"] for image in images} == set(streams)


def test_a_spectrum_image_has_its_energies_as_channels(repository: Any, sender: Any, tmp_path: Path) -> None:
    frame = spectrum_image(0)
    deliver(repository, sender, [frame])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    image = from_ngff_zarr(path / "eels.map", validate=True).images[0]
    assert image.dims == ("t", "c", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data)[0], frame.array.transpose(2, 0, 1))
    assert (image.scale["c"], image.translation["c"]) == (0.25, 350.0)
    assert [image.scale["y"], image.translation["y"]] == pytest.approx([2.0, 10.0])


def test_what_cannot_be_an_image_is_left_out_and_said(repository: Any, sender: Any, tmp_path: Path) -> None:
    energies = (Axis(name="energy", unit="eV", scale=0.5, offset=100.0),)
    spectrum = frame_around(np.arange(64, dtype="float32"), 0, stream="eels", axes=energies)
    angles = (Axis(name="ky", unit="rad", scale=1e-4), Axis(name="kx", unit="rad", scale=1e-4))
    pattern = frame_around(np.ones((8, 8), "uint16"), 0, stream="diffraction", axes=angles)
    deliver(repository, sender, [picture(0), spectrum, pattern, build_frame(3, "truth")])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    facts = json.loads((path / "zarr.json").read_text())["attributes"]["eucentric"]
    assert facts["images"] == ["haadf"]
    reasons = {item["stream"]: item["reason"] for item in facts["left_out"]}
    assert set(reasons) == {"eels", "diffraction", "truth"}
    assert "rad" in reasons["diffraction"]


def test_a_data_set_without_images_is_refused(repository: Any, sender: Any, tmp_path: Path) -> None:
    energies = (Axis(name="energy", unit="eV", scale=0.5, offset=100.0),)
    deliver(
        repository, sender, [frame_around(np.arange(64, dtype="float32"), 0, stream="eels", axes=energies)]
    )
    with repository.catalogue() as catalogue, pytest.raises(DataFormatError, match="a spectrum") as refused:
        export_ome_zarr(catalogue, "twin.s1", tmp_path)
    assert "crate" in refused.value.next_step
    assert not list(tmp_path.glob("*.ome.zarr"))


def test_an_image_without_a_pixel_size_has_no_unit(repository: Any, sender: Any, tmp_path: Path) -> None:
    deliver(repository, sender, [picture(0, axes=())])
    with repository.catalogue() as catalogue:
        path = export_ome_zarr(catalogue, "twin.s1", tmp_path)
    attributes = opened(path)["haadf"].attrs
    assert all("unit" not in axis for axis in attributes["ome"]["multiscales"][0]["axes"])
    assert attributes["eucentric"]["calibrated"] is False


def test_a_changed_shard_is_not_exported_and_nothing_is_left_behind(
    repository: Any, sender: Any, tmp_path: Path
) -> None:
    deliver(repository, sender, [picture(0)])
    stored = repository.folders.shard("twin.s1", sender.sealed[0].file_name)
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    with repository.catalogue() as catalogue, pytest.raises(IntegrityError, match="not what was registered"):
        export_ome_zarr(catalogue, "twin.s1", out)
    assert list(out.iterdir()) == []


def test_a_failure_half_way_leaves_nothing_behind(repository: Any, sender: Any, tmp_path: Path) -> None:
    deliver(repository, sender, [picture(n) for n in range(2)])
    out = tmp_path / "out"
    out.mkdir()

    def give_up(_done: int, _total: int) -> None:
        assert any(out.iterdir())
        raise KeyboardInterrupt

    with repository.catalogue() as catalogue, pytest.raises(KeyboardInterrupt):
        export_ome_zarr(catalogue, "twin.s1", out, progress=give_up)
    assert list(out.iterdir()) == []


def test_what_is_there_already_is_not_overwritten(repository: Any, sender: Any, tmp_path: Path) -> None:
    deliver(repository, sender, [picture(0, (16, 16))])
    (tmp_path / "file").write_text("kept")
    with repository.catalogue() as catalogue:
        export_ome_zarr(catalogue, "twin.s1", tmp_path)
        for destination in (tmp_path, tmp_path / "file"):
            with pytest.raises(ConfigurationError, match="there already"):
                export_ome_zarr(catalogue, "twin.s1", destination)
        with pytest.raises(ConfigurationError, match="no folder"):
            export_ome_zarr(catalogue, "twin.s1", tmp_path / "nowhere" / "out")
        with pytest.raises(ConfigurationError, match="no data set"):
            export_ome_zarr(catalogue, "twin.s2", tmp_path)
    assert (tmp_path / "file").read_text() == "kept"
