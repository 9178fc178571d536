"""What is not exactly what a trusted key signed never reaches the model in service."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, Signer

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BUNDLE_PAYLOAD_TYPE,
    MAX_ENVELOPE_BYTES,
    BundleError,
    BundleFile,
    BundleManifest,
    ConfigurationError,
    GoldenChip,
    Lineage,
    TrustedKeys,
    sha256_file,
    utc_now,
    verify_bundle,
)

FILES = ("member-0.safetensors", "drift.safetensors", "chip.npy", "expected.npy")


@pytest.fixture(scope="module")
def signer() -> Signer:
    """The hub's key."""
    return CryptoSigner.generate_ed25519()


def trusting(*signers: Signer, threshold: int = 1) -> TrustedKeys:
    """An edge that trusts these keys."""
    keys = {signer.public_key.keyid: signer.public_key.to_dict() for signer in signers}
    return TrustedKeys(threshold=threshold, keys=keys)


def manifest_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """The manifest of the files in a folder, as JSON data."""
    now = utc_now()
    manifest = BundleManifest(
        name="atoms",
        version=2,
        material="mos2",
        created_utc=now - timedelta(hours=1),
        expires_utc=now + timedelta(days=1),
        classes=("Mo", "S2"),
        network={},
        preprocessing={},
        decoding={},
        members=(FILES[0],),
        drift_reference=FILES[1],
        golden=(GoldenChip(frame=FILES[2], expected=FILES[3], max_abs_error=1e-3),),
        metrics={"f1": 0.98},
        lineage=Lineage(datasets=("twin.s1",), code_version="1", trigger_id="t", policy="p", run_id="r"),
        files=tuple(
            BundleFile(path=path.name, length_bytes=path.stat().st_size, sha256=sha256_file(path))
            for path in sorted(folder.iterdir())
            if path.name != BUNDLE_ENVELOPE
        ),
    )
    return {**manifest.model_dump(mode="json"), **changes}


def sign(
    folder: Path, manifest: dict[str, Any], *signers: Signer, payload_type: str = BUNDLE_PAYLOAD_TYPE
) -> None:
    """Sign a manifest into a folder."""
    envelope = Envelope(json.dumps(manifest).encode(), payload_type, {})
    for one in signers:
        envelope.sign(one)
    (folder / BUNDLE_ENVELOPE).write_text(json.dumps(envelope.to_dict()))


@pytest.fixture
def folder(tmp_path: Path, signer: Signer) -> Path:
    """A good bundle."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(os.urandom(2000))
    sign(folder, manifest_of(folder), signer)
    return folder


def refusal(folder: Path, trusted: TrustedKeys, *, name: str = "atoms", newer_than: int | None = 1) -> str:
    """Why a bundle is refused."""
    with pytest.raises(BundleError) as caught:
        verify_bundle(folder, trusted, expected_name=name, newer_than=newer_than)
    assert "keeps serving" in caught.value.safe
    return caught.value.what


def test_a_good_bundle_is_accepted(folder: Path, signer: Signer) -> None:
    manifest = verify_bundle(folder, trusting(signer), expected_name="atoms", newer_than=1)
    assert (manifest.version, manifest.classes) == (2, ("Mo", "S2"))
    assert verify_bundle(folder, trusting(signer), expected_name="atoms", newer_than=None) == manifest


def test_a_key_that_is_not_trusted_counts_for_nothing(folder: Path) -> None:
    assert "not signed" in refusal(folder, trusting(CryptoSigner.generate_ed25519()))


def test_a_foreign_key_under_a_trusted_name_counts_for_nothing(folder: Path, signer: Signer) -> None:
    foreign = CryptoSigner.generate_ed25519()
    disguised = trusting(foreign).keys[foreign.public_key.keyid]
    assert "not signed" in refusal(folder, TrustedKeys(keys={signer.public_key.keyid: disguised}))


def test_two_signatures_are_wanted_where_two_are_asked_for(folder: Path, signer: Signer) -> None:
    second = CryptoSigner.generate_ed25519()
    trusted = trusting(signer, second, threshold=2)
    assert "not signed by 2" in refusal(folder, trusted)
    sign(folder, manifest_of(folder), signer, second)
    assert verify_bundle(folder, trusted, expected_name="atoms", newer_than=1).version == 2


@pytest.mark.parametrize("threshold", [0, -1])
def test_no_signature_at_all_is_never_enough(signer: Signer, threshold: int) -> None:
    with pytest.raises(ValidationError):
        trusting(signer, threshold=threshold)


def test_an_unsigned_bundle_is_refused(folder: Path, signer: Signer) -> None:
    sign(folder, manifest_of(folder))
    assert "not signed" in refusal(folder, trusting(signer))


def test_every_changed_byte_of_the_manifest_breaks_the_signature(folder: Path, signer: Signer) -> None:
    envelope = json.loads((folder / BUNDLE_ENVELOPE).read_text())
    payload = envelope["payload"]
    for position in range(0, len(payload) - 4, len(payload) // 40):
        other = "A" if payload[position] != "A" else "B"
        envelope["payload"] = payload[:position] + other + payload[position + 1 :]
        (folder / BUNDLE_ENVELOPE).write_text(json.dumps(envelope))
        assert "not signed" in refusal(folder, trusting(signer))


def test_an_expired_bundle_is_refused(folder: Path, signer: Signer) -> None:
    hours_ago = (utc_now() - timedelta(minutes=1)).isoformat()
    sign(folder, manifest_of(folder, expires_utc=hours_ago), signer)
    assert "expired" in refusal(folder, trusting(signer))


@pytest.mark.parametrize("in_service", [2, 3, 1000])
def test_a_version_that_is_not_newer_is_refused(folder: Path, signer: Signer, in_service: int) -> None:
    assert "not above" in refusal(folder, trusting(signer), newer_than=in_service)


def test_another_model_is_refused(folder: Path, signer: Signer) -> None:
    assert "for model 'atoms'" in refusal(folder, trusting(signer), name="defects")


def test_something_else_that_was_signed_is_no_bundle(folder: Path, signer: Signer) -> None:
    sign(folder, manifest_of(folder), signer, payload_type="application/vnd.in-toto+json")
    assert "not a bundle" in refusal(folder, trusting(signer))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 3},
        {"schema_version": 1, "engine": "chips"},
        {"engine": "../chips"},
        {"parameters": {"long": "x" * 300_000}},
        {"version": 0},
        {"members": []},
        {"members": ["../../etc/passwd"]},
        {"members": ["unlisted.safetensors"]},
        {"unknown": 1},
        {"metrics": {"f1": "NaN"}},
        {"golden": []},
        {"expires_utc": "2020-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_a_signed_manifest_of_another_schema_is_refused(
    folder: Path, signer: Signer, changes: dict[str, Any]
) -> None:
    sign(folder, manifest_of(folder, **changes), signer)
    assert "not of this schema" in refusal(folder, trusting(signer))


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _become_a_link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_flip_a_bit, "not what was signed"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "2001 bytes, 2000 were signed"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.unlink(), "differ from the signed list"),
        (lambda path: path.with_name("extra.pkl").write_bytes(b"x"), "extra.pkl"),
        (lambda path: path.with_name("..x").mkdir(), "..x"),
        (_become_a_link, "not a plain file"),
        (_become_a_folder, "not a plain file"),
        (_become_a_pipe, "not a plain file"),
    ],
)
@pytest.mark.parametrize("name", [FILES[0], FILES[3]])
def test_a_damaged_file_is_refused(
    folder: Path, signer: Signer, name: str, damage: Callable[[Path], Any], reason: str
) -> None:
    damage(folder / name)
    assert reason in refusal(folder, trusting(signer))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" " * (MAX_ENVELOPE_BYTES + 1), "larger than"),
        (b"", "not a signed manifest"),
        (b"\xff\xfe", "not a signed manifest"),
        (b"[]", "not a signed manifest"),
        (b"[" * 100_000, "not a signed manifest"),
        (b"{}", "not a signed manifest"),
        (b'{"payload": "!", "payloadType": 3, "signatures": []}', "not a"),
        (b'{"payload": "", "payloadType": "x", "signatures": [5]}', "not a signed manifest"),
        (b'{"payload": "", "payloadType": "x", "signatures": [{"keyid": "a"}]}', "not a signed manifest"),
    ],
    ids=lambda part: repr(part[:30]),
)
def test_an_envelope_that_is_none_is_refused(
    folder: Path, signer: Signer, content: bytes, reason: str
) -> None:
    (folder / BUNDLE_ENVELOPE).write_bytes(content)
    assert reason in refusal(folder, trusting(signer))


def test_an_envelope_must_be_a_plain_file(folder: Path, signer: Signer, tmp_path: Path) -> None:
    _become_a_link(folder / BUNDLE_ENVELOPE)
    assert "missing" in refusal(folder, trusting(signer))
    assert "missing" in refusal(tmp_path / "nowhere", trusting(signer))


def test_two_names_that_are_one_file_on_windows_are_refused(folder: Path) -> None:
    manifest = manifest_of(folder)
    manifest["files"].append({**manifest["files"][0], "path": manifest["files"][0]["path"].upper()})
    with pytest.raises(ValidationError, match="twice"):
        BundleManifest.model_validate(manifest)


def test_trusted_keys_are_read_from_a_file_or_refused(tmp_path: Path, signer: Signer) -> None:
    path = tmp_path / "trusted-keys.json"
    path.write_text(trusting(signer).model_dump_json())
    assert TrustedKeys.read(path) == trusting(signer)
    for content in ("", "{}", '{"keys": {}}', '{"keys": {"a": {}}}', '{"keys": {"a": {"keytype": "rsa"}}}'):
        path.write_text(content)
        with pytest.raises(ConfigurationError, match="trusted-keys"):
            TrustedKeys.read(path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        TrustedKeys.read(tmp_path / "none.json")
