"""Bundles damaged in every way: each is refused, or answers as it was signed; the old model serves on."""

# ruff: noqa: F811 - fixtures are imported, and asked for by their names

from __future__ import annotations

import io
import json
import pickle  # noqa: TID251 - to make files that must never be opened by it
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from eucentric_core import BUNDLE_ENVELOPE, BundleError
from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot

from ..edge.bundle_maker import BundleMaker, frame_of, image
from ..edge.fixtures import bundles, slot  # noqa: F401 - fixtures
from ..edge.fixtures import installer as empty  # noqa: F401 - a fixture

MEMBER, OTHER = "member-0.safetensors", "member-1.safetensors"
Damage = Callable[[Path], None]


@pytest.fixture
def installer(empty: Installer, bundles: BundleMaker) -> Installer:
    empty.install(bundles.make(1), frame_shape=None)
    return empty


def answer(slot: ModelSlot) -> tuple[int, bytes]:
    assert slot.model is not None
    said = slot.model.answer(frame_of(image(77), 0), received_s=time.perf_counter())
    return said.header.model_version, said.array("detections").tobytes()


def _flip(name: str, offset: int) -> Damage:
    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[offset % len(content)] ^= 0x20
        (folder / name).write_bytes(content)

    return damage


def _cut(name: str, share: float) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return damage


def _header_of(content: bytes) -> tuple[dict[str, object], bytes]:
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _with_header(header: bytes, data: bytes, *, claimed: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if claimed is None else claimed) + header + data


def _rewritten(rewrite: Callable[[bytes], bytes], name: str = MEMBER) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(rewrite((folder / name).read_bytes()))

    return damage


def _tensors(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Damage:
    def damage(folder: Path) -> None:
        tensors = change(dict(safetensors.numpy.load_file(folder / MEMBER)))
        (folder / MEMBER).write_bytes(safetensors.numpy.save(tensors))

    return damage


def _spoiled(name: str, value: float) -> Damage:
    def change(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        spoiled = tensors[name].copy()
        spoiled.flat[-1] = value
        return tensors | {name: spoiled}

    return _tensors(change)


def _swapped(first: str, second: str) -> Damage:
    return _tensors(lambda tensors: tensors | {first: tensors[second], second: tensors[first]})


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def _zip_of_pickle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb()))
        archive.writestr("archive/version", "3")
    return buffer.getvalue()


def _linked(name: str) -> Damage:
    def damage(folder: Path) -> None:
        elsewhere = folder.parent / f"{folder.name}-{name}"
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(elsewhere)

    return damage


def _doubled_key(content: bytes) -> bytes:
    header, data = _header_of(content)
    text = json.dumps(header).encode()
    name = next(key for key in header if key != "__metadata__")
    return _with_header(text[:-1] + b"," + json.dumps({name: header[name]}).encode()[1:], data)


def _doubled_in_the_envelope(folder: Path) -> None:
    path = folder / BUNDLE_ENVELOPE
    text = path.read_text()
    path.write_text('{"payload": "e30=",' + text[1:])


def names_of(bundles: BundleMaker) -> list[str]:
    return sorted(path.name for path in bundles.make(2).iterdir())


def outside(bundles: BundleMaker) -> Iterator[tuple[str, Damage]]:
    """What happens to a bundle on its way, or what somebody without a key does to it."""
    rng = np.random.default_rng(6)
    header = struct.unpack("<Q", (bundles.make(2) / MEMBER).read_bytes()[:8])[0]
    for offset in [*range(8), *rng.integers(8, 8 + header, 32).tolist()]:
        yield f"byte {offset} of the header", _flip(MEMBER, offset)
    names = names_of(bundles)
    for _ in range(40):
        name, offset = names[rng.integers(len(names))], int(rng.integers(1 << 20))
        # The envelope is text: flipping the case of a letter of its base64 is another signature.
        yield f"byte {offset} of {name}", _flip(name, offset)
    for name in names:
        for share in (0.0, 0.5, 0.99):
            yield f"{name} cut to {share:.0%}", _cut(name, share)
    for name in (BUNDLE_ENVELOPE, MEMBER, "golden-0-frame.npy"):
        yield f"a link in place of {name}", _linked(name)
    yield "a key twice in the envelope", _doubled_in_the_envelope
    yield "weights of another version", lambda folder: _copy(bundles.make(3), folder, MEMBER)
    yield "members exchanged", lambda folder: _exchange(folder, MEMBER, OTHER)
    yield "a .pt file beside", lambda folder: _write(folder / "model.pt", _zip_of_pickle())
    yield "a pickle beside", lambda folder: _write(folder / "model.pkl", pickle.dumps(_Bomb()))


def inside(bundles: BundleMaker) -> Iterator[tuple[str, Damage]]:
    """What is signed all the same: the mistake, or the malice, of someone with a key."""
    tensors = safetensors.numpy.load_file(bundles.make(2) / MEMBER)
    for index, name in enumerate(sorted(tensors)):
        yield f"{name} is not finite", _spoiled(name, (np.nan, np.inf, -np.inf)[index % 3])
        shape = tensors[name].shape
        yield f"{name} of another shape", _tensors(lambda t, n=name: t | {n: t[n][..., None]})  # type: ignore[misc]
        if index % 3 == 0:
            yield f"{name} as float64", _tensors(lambda t, n=name: t | {n: t[n].astype(np.float64)})  # type: ignore[misc]
            yield f"{name} as int32", _tensors(lambda t, n=name: t | {n: t[n].astype(np.int32)})  # type: ignore[misc]
        assert shape
    alike = [
        pair
        for pair in combinations(sorted(tensors), 2)
        if tensors[pair[0]].shape == tensors[pair[1]].shape
        and np.abs(tensors[pair[0]] - tensors[pair[1]]).max() > 0.5
    ]
    for first, second in alike[:12]:
        yield f"{first} and {second} exchanged", _swapped(first, second)
    for claimed in (0, 1, 7, 1 << 20, 101 << 20, 1 << 40, (1 << 64) - 1):
        yield (
            f"a header that claims {claimed} bytes",
            _rewritten(lambda content, c=claimed: struct.pack("<Q", c) + content[8:]),  # type: ignore[misc]
        )
    yield "a tensor twice in the header", _rewritten(_doubled_key)
    yield "bytes behind the weights", _rewritten(lambda content: content + b"\0" * 64)
    yield "a zip of a pickle behind the weights", _rewritten(lambda content: content + _zip_of_pickle())
    yield "a zip of a pickle as weights", _rewritten(lambda _: _zip_of_pickle())
    yield "a pickle as weights", _rewritten(lambda _: pickle.dumps({"head.bias": _Bomb()}))
    yield "a pickle as drift reference", _rewritten(lambda _: pickle.dumps(_Bomb()), "drift-reference.json")
    yield "a pickle as golden chip", _rewritten(lambda _: pickle.dumps(_Bomb()), "golden-0-frame.npy")
    yield "a zip as golden chip", _rewritten(lambda _: _zip_of_pickle(), "golden-0-expected.npy")
    yield "no weights at all", _rewritten(lambda _: b"")


def flips(bundles: BundleMaker) -> Iterator[tuple[str, Damage]]:
    """Signed flips in the header of the weights, of which some change nothing that is used."""
    header = struct.unpack("<Q", (bundles.make(2) / MEMBER).read_bytes()[:8])[0]
    for offset in np.random.default_rng(7).integers(0, 8 + header, 24).tolist():
        yield f"byte {offset} of the header, signed", _flip(MEMBER, offset)


def _copy(source: Path, folder: Path, name: str) -> None:
    (folder / name).write_bytes((source / name).read_bytes())


def _exchange(folder: Path, first: str, second: str) -> None:
    one, two = (folder / first).read_bytes(), (folder / second).read_bytes()
    (folder / first).write_bytes(two)
    (folder / second).write_bytes(one)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def refused(installer: Installer, offered: Path) -> BundleError | None:
    try:
        installer.install(offered, frame_shape=None)
    except BundleError as error:
        return error
    return None


def test_what_was_changed_on_the_way_is_refused(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot, tmp_path: Path
) -> None:
    before, state = answer(slot), installer.state
    count = 0
    for count, (what, damage) in enumerate(outside(bundles), start=1):  # noqa: B007 - counted
        offered = bundles.make(2)
        damage(offered)
        assert refused(installer, offered) is not None, what
        assert installer.state == state, what
    assert count >= 100
    assert answer(slot) == before
    assert list((tmp_path / "edge" / "incoming").iterdir()) == []
    assert installer.install(bundles.make(2), frame_shape=None).version == 2


def test_what_is_signed_and_wrong_is_refused(
    bundles: BundleMaker, installer: Installer, slot: ModelSlot, tmp_path: Path
) -> None:
    before, state = answer(slot), installer.state
    count = 0
    for count, (what, damage) in enumerate(inside(bundles), start=1):  # noqa: B007 - counted
        offered = bundles.make(2)
        damage(offered)
        bundles.resign(offered)
        error = refused(installer, offered)
        assert error is not None, what
        assert error.safe, what
        assert installer.state == state, what
    assert count >= 50
    assert answer(slot) == before
    assert not Path("exploded").exists()
    assert installer.install(bundles.make(2), frame_shape=None).version == 2


def test_a_signed_flip_in_the_header_is_refused_or_changes_no_answer(
    bundles: BundleMaker, tmp_path: Path
) -> None:
    right: tuple[int, bytes] | None = None
    outcomes = {"refused": 0, "the same": 0}
    for index, (what, damage) in enumerate(flips(bundles)):
        slot = ModelSlot()
        trust = KeyTrust(bundles.trusted)
        folder = tmp_path / f"edge-{index}"
        installer = Installer(folder, trust, model_name="atoms", slot=slot, opener=HereOpener("cpu"))
        if right is None:
            installer.install(bundles.make(2), frame_shape=None)
            right = answer(slot)
            continue
        offered = bundles.make(2)
        damage(offered)
        bundles.resign(offered)
        if refused(installer, offered) is None:
            assert answer(slot) == right, what
            outcomes["the same"] += 1
        else:
            assert slot.model is None, what
            outcomes["refused"] += 1
    assert outcomes["refused"] > 0
