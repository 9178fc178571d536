"""What earlier versions signed still verifies, opens and answers as it did.

`golden/` was written once and is never written again: bundles of every schema and releases of schema 1,
signed with keys that were thrown away, valid for a hundred years.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eucentric_core import BUNDLE_ENVELOPE, BundleError, TrustedKeys, verify_bundle
from eucentric_core.releases import ReleaseTrust, verify_released_bundle
from eucentric_models.engines import ModelDescription, engine_named, require_golden_answers
from eucentric_transfer import PosixMover

GOLDEN = Path(__file__).with_name("golden")
TRUSTED = TrustedKeys.read(GOLDEN / "trusted-keys.json")


@pytest.mark.parametrize("schema", [1, 2])
def test_a_bundle_of_every_schema_verifies_and_answers_as_it_did(schema: int) -> None:
    folder = GOLDEN / f"bundle-schema-{schema}"
    manifest = verify_bundle(folder, TRUSTED, expected_name="atoms", newer_than=None)
    assert (manifest.schema_version, manifest.version, manifest.engine) == (schema, schema, "atoms")
    model = engine_named(manifest.engine).open(folder, ModelDescription.of_manifest(manifest))
    require_golden_answers(folder, model)


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("name", [BUNDLE_ENVELOPE, "member-1.safetensors", "golden-0-frame.npy"])
def test_one_other_byte_in_a_golden_bundle_is_refused(schema: int, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(GOLDEN / f"bundle-schema-{schema}", folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError):
        verify_bundle(folder, TRUSTED, expected_name="atoms", newer_than=None)


def test_releases_of_schema_1_verify_and_name_their_bundle(tmp_path: Path) -> None:
    trust = ReleaseTrust(tmp_path / "trust", GOLDEN / "root.json")
    release = trust.newest("atoms", PosixMover(GOLDEN / "releases-1"))
    assert release is not None
    assert (release.schema_version, release.rank, release.is_rollback) == (1, (1, 2), True)
    manifest = verify_released_bundle(GOLDEN / "bundle-schema-1", release)
    assert (manifest.version, release.reason) == (1, "golden rollback")
    with pytest.raises(BundleError, match="not the one that the newest release names"):
        verify_released_bundle(GOLDEN / "bundle-schema-2", release)


def test_no_private_key_lies_among_the_golden_files() -> None:
    for path in GOLDEN.rglob("*"):
        assert path.is_dir() or b"PRIVATE KEY" not in path.read_bytes()
    assert json.loads((GOLDEN / "trusted-keys.json").read_text())["threshold"] == 1
