"""Bundles that an edge must refuse, for `swap.py`: damaged, cut short, replayed, and signed but wrong."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signer

from eucentric_core import BUNDLE_ENVELOPE, BUNDLE_PAYLOAD_TYPE, sha256_file

_MEMBER = "member-0.safetensors"


def spoiled(newest: Path, other: Path, old: Path, folder: Path, signer: Signer) -> list[Path]:
    """One bundle of each kind.

    Args:
        newest: a good bundle that was not installed yet.
        other: one of other weights, whose answers differ.
        old: one that was installed before.
        folder: where they are made.
        signer: a key that the edge trusts: the last kind is an insider's mistake, found by the golden chips
            after all the work of an installation.
    """
    flipped, cut, wrong = (
        Path(shutil.copytree(newest, folder / name)) for name in ("flipped", "cut", "wrong")
    )
    content = (newest / _MEMBER).read_bytes()
    (flipped / _MEMBER).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (cut / _MEMBER).write_bytes(content[: len(content) // 2])
    shutil.copy(other / _MEMBER, wrong / _MEMBER)
    _sign_again(wrong, signer)
    return [flipped, cut, old, wrong]


def _sign_again(folder: Path, signer: Signer) -> None:
    path = folder / BUNDLE_ENVELOPE
    manifest = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
    manifest["files"] = [
        {"path": file.name, "length_bytes": file.stat().st_size, "sha256": sha256_file(file)}
        for file in sorted(folder.iterdir())
        if file != path
    ]
    envelope = Envelope(json.dumps(manifest).encode(), BUNDLE_PAYLOAD_TYPE, {})
    envelope.sign(signer)
    path.write_text(json.dumps(envelope.to_dict()))
