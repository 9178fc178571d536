"""Only good bundles serve; whatever else is offered, the model in service answers as before."""

from __future__ import annotations

import io
import pickle  # noqa: TID251 - to make the file that must never be opened by it
import shutil
import time
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from securesystemslib.signer import CryptoSigner

from eucentric_core import BUNDLE_ENVELOPE, BundleError, CommandRefusedError, ConfigurationError
from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot
from eucentric_models import DriftReference, NetworkSpec

from .bundle_maker import SPEC, BundleMaker, frame_of, image


def answer(slot: ModelSlot) -> tuple[int, bytes, bytes]:
    """Version, detections and uncertainty for one fixed frame."""
    assert slot.model is not None
    result = slot.model.answer(frame_of(image(77), 0), received_s=time.perf_counter())
    return (
        result.header.model_version,
        result.array("detections").tobytes(),
        result.array("uncertainty").tobytes(),
    )


def test_a_good_bundle_serves(bundles: BundleMaker, installer: Installer, slot: ModelSlot) -> None:
    installation = installer.install(bundles.make(1), frame_shape=None)
    assert (installation.version, installation.previous_version) == (1, None)
    assert slot.model is not None
    result = slot.model.answer(frame_of(image(77), 5), received_s=time.perf_counter())
    expected = bundles.ensemble(1).infer(image(77))
    assert result.array("detections").shape[1] == 4
    assert len(result.array("detections")) > 0
    np.testing.assert_array_equal(result.array("uncertainty"), expected.deviation.astype(np.float16))
    header = result.header
    assert (header.sequence, header.model_version, header.classes) == (5, 1, ("metal", "chalcogen"))
    assert header.pixel_size_m == 1e-11
    assert header.latency_s > 0
    assert [header.stream for header, _ in result.results] == ["detections", "uncertainty"]


def _flip_a_byte(folder: Path) -> None:
    path = folder / "member-0.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def _truncate(folder: Path) -> None:
    path = folder / "member-1.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def _replace_by_link(folder: Path) -> None:
    path = folder / "member-0.safetensors"
    shutil.copyfile(path, folder.parent / "elsewhere")
    path.unlink()
    path.symlink_to(folder.parent / "elsewhere")


def _cut_the_envelope(folder: Path) -> None:
    path = folder / BUNDLE_ENVELOPE
    path.write_bytes(path.read_bytes()[:200])


def _nest_deeply(folder: Path) -> None:
    (folder / BUNDLE_ENVELOPE).write_text("[" * 500_000)


def _mix_manifests(bundles: BundleMaker, folder: Path) -> None:
    shutil.copyfile(bundles.make(3) / BUNDLE_ENVELOPE, folder / BUNDLE_ENVELOPE)


def _with_weights(bundles: BundleMaker, folder: Path, member: bytes) -> None:
    (folder / "member-0.safetensors").write_bytes(member)
    bundles.resign(folder)


def _nan_weights(bundles: BundleMaker, folder: Path) -> None:
    tensors = dict(safetensors.numpy.load_file(folder / "member-0.safetensors"))
    tensors["head.bias"] = np.full_like(tensors["head.bias"], np.nan)
    _with_weights(bundles, folder, safetensors.numpy.save(tensors))


def _double_precision(bundles: BundleMaker, folder: Path) -> None:
    tensors = safetensors.numpy.load_file(folder / "member-0.safetensors")
    double = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    _with_weights(bundles, folder, safetensors.numpy.save(double))


def _other_architecture(bundles: BundleMaker, folder: Path) -> None:
    other = NetworkSpec(n_classes=2, base_filters=8, depth=1)
    _with_weights(bundles, folder, bundles.members(2, other)[0])


def _missing_tensor(bundles: BundleMaker, folder: Path) -> None:
    tensors = dict(safetensors.numpy.load_file(folder / "member-0.safetensors"))
    del tensors["head.bias"]
    _with_weights(bundles, folder, safetensors.numpy.save(tensors))


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


def _pickled_weights(bundles: BundleMaker, folder: Path) -> None:
    _with_weights(bundles, folder, pickle.dumps({"head.bias": _Bomb()}))


def _zipped_weights(bundles: BundleMaker, folder: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb()))
    _with_weights(bundles, folder, buffer.getvalue())


def _a_pt_file_beside(bundles: BundleMaker, folder: Path) -> None:
    (folder / "weights.pt").write_bytes(pickle.dumps(_Bomb()))
    bundles.resign(folder)


def _pickle_in_a_golden_chip(bundles: BundleMaker, folder: Path) -> None:
    np.save(folder / "golden-0-frame.npy", np.array([_Bomb()], dtype=object), allow_pickle=True)
    bundles.resign(folder)


def _announce_a_larger_array(bundles: BundleMaker, folder: Path) -> None:
    path = folder / "golden-0-frame.npy"
    path.write_bytes(path.read_bytes().replace(b"(48, 40)", b"(99, 99)"))
    bundles.resign(folder)


def _other_weights(bundles: BundleMaker, folder: Path) -> None:
    _with_weights(bundles, folder, bundles.members(9)[0])


def _other_drift_reference(bundles: BundleMaker, folder: Path) -> None:
    rng = np.random.default_rng(0)
    reference = DriftReference.fit([rng.normal(size=5) for _ in range(12)], [0.1] * 12)
    (folder / "drift-reference.json").write_text(reference.to_json())
    bundles.resign(folder)


def _unknown_network(bundles: BundleMaker, folder: Path) -> None:
    bundles.resign(folder, lambda manifest: manifest["network"].update(kind="transformer"))


def _path_outside(bundles: BundleMaker, folder: Path) -> None:
    bundles.resign(folder, lambda manifest: manifest["members"].__setitem__(0, "../member-0.safetensors"))


Spoil = Callable[[BundleMaker, Path], None]

# What was done to a good bundle of version 2, and what the refusal must say about it.
SPOILED: dict[str, tuple[Spoil, str]] = {
    "unsigned": (lambda _, folder: (folder / BUNDLE_ENVELOPE).unlink(), "missing"),
    "a flipped byte in the weights": (lambda _, folder: _flip_a_byte(folder), "content of member-0"),
    "truncated weights": (lambda _, folder: _truncate(folder), "bytes"),
    "an extra file": (lambda _, folder: _write(folder / "extra.txt"), "extra.txt"),
    "a folder inside": (lambda _, folder: (folder / "more").mkdir(), "plain file"),
    "a link in place of the weights": (lambda _, folder: _replace_by_link(folder), "plain file"),
    "a missing file": (lambda _, folder: (folder / "golden-0-frame.npy").unlink(), "golden-0-frame"),
    "half a manifest": (lambda _, folder: _cut_the_envelope(folder), "not a signed manifest"),
    "a bottomless manifest": (lambda _, folder: _nest_deeply(folder), "not a signed manifest"),
    "an endless manifest": (lambda _, folder: _write(folder / BUNDLE_ENVELOPE, 2 << 20), "larger than"),
    "the manifest of another version": (_mix_manifests, "content of|bytes"),
    "no folder at all": (lambda _, folder: shutil.rmtree(folder), "cannot be read"),
    "NaN weights, signed": (_nan_weights, "NaN"),
    "weights of another dtype, signed": (_double_precision, "float64"),
    "weights of another architecture, signed": (_other_architecture, "float32"),
    "a missing tensor, signed": (_missing_tensor, "head.bias"),
    "pickled weights, signed": (_pickled_weights, "safetensors"),
    "zipped weights, signed": (_zipped_weights, "safetensors"),
    "a .pt file beside the weights, signed": (_a_pt_file_beside, "weights.pt"),
    "a pickle in a golden chip, signed": (_pickle_in_a_golden_chip, "not a plain array"),
    "a golden chip that announces more than it holds, signed": (
        _announce_a_larger_array,
        "not a plain array",
    ),
    "other weights than the golden chips, signed": (_other_weights, "away from what was signed"),
    "another ensemble's drift reference, signed": (_other_drift_reference, "drift reference"),
    "an unknown network, signed": (_unknown_network, "network of the model"),
    "a path that leaves the folder, signed": (_path_outside, "not of this schema"),
}


def _write(path: Path, size: int = 10) -> None:
    path.write_bytes(b" " * size)


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_bundle_is_refused_and_the_old_model_serves_on(
    what: str,
    bundles: BundleMaker,
    installer: Installer,
    slot: ModelSlot,
    tmp_path: Path,
    unpickled: list[str],
) -> None:
    spoil, said = SPOILED[what]
    installer.install(bundles.make(1), frame_shape=None)
    before, state = answer(slot), installer.state
    offered = bundles.make(2)
    spoil(bundles, offered)
    unpickled.clear()

    with pytest.raises(BundleError, match=said):
        installer.install(offered, frame_shape=None)

    assert answer(slot) == before
    assert installer.state == state
    assert list((tmp_path / "edge" / "incoming").iterdir()) == []
    assert unpickled == []
    assert installer.install(bundles.make(2), frame_shape=None).version == 2


OFFERED: dict[str, tuple[dict[str, Any], str]] = {
    "signed by someone else": ({"version": 2, "signer": CryptoSigner.generate_ed25519()}, "trusted key"),
    "the version in service": ({"version": 1}, "not above"),
    "another model": ({"version": 2, "name": "spectra"}, "not 'atoms'"),
    "expired": ({"version": 2, "valid_for": timedelta(microseconds=1)}, "expired"),
}


@pytest.mark.parametrize("what", OFFERED)
def test_a_bundle_that_is_not_for_this_edge_now_is_refused(
    what: str, bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    changes, said = OFFERED[what]
    installer.install(bundles.make(1), frame_shape=None)
    before = answer(slot)
    with pytest.raises(BundleError, match=said):
        installer.install(bundles.make(**changes), frame_shape=None)
    assert answer(slot) == before


def test_a_model_that_cannot_take_the_frames_of_now_is_refused(
    bundles: BundleMaker, installer: Installer
) -> None:
    with pytest.raises(BundleError, match="cannot analyse frames"):
        installer.install(bundles.make(1), frame_shape=(SPEC.size_multiple, 2))


def test_the_last_two_versions_are_kept(bundles: BundleMaker, installer: Installer, tmp_path: Path) -> None:
    for version in (1, 2, 3):
        installer.install(bundles.make(version), frame_shape=(48, 40))
    assert sorted(folder.name for folder in (tmp_path / "edge" / "models").iterdir()) == [
        "v000002",
        "v000003",
    ]
    assert (installer.state.current, installer.state.previous) == (3, 2)


def test_a_rollback_goes_one_step_back_and_no_old_version_comes_in_again(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot
) -> None:
    installer.install(bundles.make(1), frame_shape=None)
    first = answer(slot)
    installer.install(bundles.make(2), frame_shape=None)
    assert answer(slot) != first

    assert installer.rollback(frame_shape=None).version == 1
    assert answer(slot) == first
    with pytest.raises(CommandRefusedError, match="no previous version"):
        installer.rollback(frame_shape=None)
    with pytest.raises(BundleError, match="not above"):
        installer.install(bundles.make(2), frame_shape=None)
    assert installer.install(bundles.make(3), frame_shape=None).previous_version == 1


def _restarted(installer_folder: Path, bundles: BundleMaker) -> tuple[Installer, ModelSlot, int]:
    slot = ModelSlot()
    trust = KeyTrust(bundles.trusted)
    installer = Installer(installer_folder, trust, model_name="atoms", slot=slot, opener=HereOpener("cpu"))
    return installer, slot, len(installer.start())


def test_a_restart_serves_the_same_model(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot, tmp_path: Path
) -> None:
    for version in (1, 2):
        installer.install(bundles.make(version), frame_shape=None)
    _, restarted_slot, refused = _restarted(tmp_path / "edge", bundles)
    assert refused == 0
    assert answer(restarted_slot) == answer(slot)


def test_a_restart_with_a_damaged_model_serves_the_one_before(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot, tmp_path: Path
) -> None:
    installer.install(bundles.make(1), frame_shape=None)
    first = answer(slot)
    installer.install(bundles.make(2), frame_shape=None)
    _flip_a_byte(tmp_path / "edge" / "models" / "v000002")

    restarted, restarted_slot, refused = _restarted(tmp_path / "edge", bundles)
    assert refused == 1
    assert answer(restarted_slot) == first
    assert (tmp_path / "edge" / "models" / "v000002").exists()
    with pytest.raises(CommandRefusedError, match="no previous version"):
        restarted.rollback(frame_shape=None)
    assert restarted.install(bundles.make(3), frame_shape=None).previous_version == 1
    assert restarted.state.previous == 1


def test_a_damaged_state_file_is_no_way_back_to_old_versions(
    bundles: BundleMaker, installer: Installer, tmp_path: Path
) -> None:
    installer.install(bundles.make(2), frame_shape=None)
    (tmp_path / "edge" / "state.json").write_text("{")
    with pytest.raises(ConfigurationError, match="damaged"):
        _restarted(tmp_path / "edge", bundles)
    assert (tmp_path / "edge" / "models" / "v000002").exists()
