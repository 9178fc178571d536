"""The key that makes models trusted is made once, read only by its owner, and never overwritten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from eucentric_core import ConfigurationError, TrustedKeys
from eucentric_model_registry import generate_keys, load_signer, trusted_keys_of


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "keys" / "signing-key.pem", tmp_path / "keys" / "trusted-keys.json"


def test_a_new_key_signs_and_the_public_file_trusts_it(paths: tuple[Path, Path]) -> None:
    generated = generate_keys(*paths)
    signer = load_signer(paths[0])
    assert TrustedKeys.read(paths[1]) == generated == trusted_keys_of(signer)
    signature = signer.sign(b"payload")
    (key,) = generated.load()
    key.verify_signature(signature, b"payload")


def test_the_private_key_is_for_its_owner_alone_and_the_public_file_holds_none_of_it(
    paths: tuple[Path, Path],
) -> None:
    generate_keys(*paths)
    assert stat.S_IMODE(paths[0].stat().st_mode) == 0o600
    secret = paths[0].read_text().splitlines()[1]
    assert secret not in paths[1].read_text()


@pytest.mark.parametrize("existing", [0, 1])
def test_a_key_is_never_overwritten(existing: int, paths: tuple[Path, Path]) -> None:
    paths[existing].parent.mkdir()
    paths[existing].write_text("precious")
    with pytest.raises(ConfigurationError, match="exists already"):
        generate_keys(*paths)
    assert paths[existing].read_text() == "precious"
    assert not paths[1 - existing].exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(mode: int, paths: tuple[Path, Path]) -> None:
    generate_keys(*paths)
    paths[0].chmod(mode)
    with pytest.raises(ConfigurationError, match="open to other users"):
        load_signer(paths[0])


def test_what_is_no_ed25519_key_is_refused(paths: tuple[Path, Path]) -> None:
    paths[0].parent.mkdir()
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content, said in ((b"nonsense", "PEM"), (other, "Ed25519")):
        paths[0].write_bytes(content)
        paths[0].chmod(0o600)
        with pytest.raises(ConfigurationError, match=said):
            load_signer(paths[0])
    paths[0].unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_signer(paths[0])


@pytest.mark.parametrize(
    "content", ["", "{}", '{"keys": {}}', '{"keys": {"a": {"keytype": 3}}}', '{"threshold": 0, "keys": {}}']
)
def test_a_file_without_usable_keys_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "trusted-keys.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="trusted"):
        TrustedKeys.read(path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        TrustedKeys.read(tmp_path / "none.json")


def test_more_signatures_than_keys_can_never_be_met(paths: tuple[Path, Path]) -> None:
    trusted = generate_keys(*paths)
    paths[1].write_text(trusted.model_copy(update={"threshold": 2}).model_dump_json())
    with pytest.raises(ConfigurationError, match="asks for 2"):
        TrustedKeys.read(paths[1])
