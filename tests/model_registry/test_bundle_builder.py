"""A bundle is complete, signed and self-consistent, or it does not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from securesystemslib.signer import CryptoSigner

from eucentric_core import BundleError, EucentricError, verify_bundle
from eucentric_model_registry import RegistryError, build_and_sign_bundle, trusted_keys_of
from eucentric_models import DriftReference
from eucentric_models.networks import Ensemble

from .contents import SPEC, make_content, make_image


def test_what_is_built_is_what_an_edge_verifies(tmp_path: Path, signer: CryptoSigner) -> None:
    content = make_content(version=3)
    manifest = build_and_sign_bundle(tmp_path / "new" / "bundle", content, signer)
    verified = verify_bundle(
        tmp_path / "new" / "bundle", trusted_keys_of(signer), expected_name="atoms", newer_than=2
    )
    assert verified == manifest
    assert (verified.version, verified.lineage, verified.metrics) == (3, content.lineage, content.metrics)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bundle"]


def test_the_golden_answer_is_the_ensembles_own(tmp_path: Path, signer: CryptoSigner) -> None:
    content = make_content()
    manifest = build_and_sign_bundle(tmp_path / "bundle", content, signer)
    (chip,) = manifest.golden
    stored = np.load(tmp_path / "bundle" / chip.expected, allow_pickle=False)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, Ensemble(SPEC, content.members).infer(make_image(99)).maps)
    np.testing.assert_array_equal(np.load(tmp_path / "bundle" / chip.frame), make_image(99))


def test_no_file_of_a_bundle_is_of_a_kind_that_runs_code(tmp_path: Path, signer: CryptoSigner) -> None:
    build_and_sign_bundle(tmp_path / "bundle", make_content(), signer)
    assert {path.suffix for path in (tmp_path / "bundle").iterdir()} == {".safetensors", ".npy", ".json"}


def test_another_key_is_not_trusted(tmp_path: Path, signer: CryptoSigner) -> None:
    build_and_sign_bundle(tmp_path / "bundle", make_content(), CryptoSigner.generate_ed25519())
    with pytest.raises(BundleError, match="trusted key"):
        verify_bundle(tmp_path / "bundle", trusted_keys_of(signer), expected_name="atoms", newer_than=None)


def test_a_bundle_is_never_written_over(tmp_path: Path, signer: CryptoSigner) -> None:
    build_and_sign_bundle(tmp_path / "bundle", make_content(), signer)
    with pytest.raises(RegistryError, match="exists already"):
        build_and_sign_bundle(tmp_path / "bundle", make_content(), signer)


REFERENCE_OF_ANOTHER_ENSEMBLE = DriftReference.fit(
    [np.random.default_rng(seed).normal(size=5) for seed in range(12)], [0.1] * 12
)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"classes": ("metal",)}, RegistryError),
        ({"members": (b"no weights",)}, EucentricError),
        ({"golden_frames": (np.full((48, 40), np.nan),)}, EucentricError),
        ({"golden_frames": ()}, ValidationError),
        ({"drift_reference": REFERENCE_OF_ANOTHER_ENSEMBLE}, EucentricError),
        ({"version": 0}, ValidationError),
        ({"name": "../atoms"}, ValidationError),
        ({"metrics": {"f1": float("nan")}}, ValidationError),
    ],
)
def test_parts_that_do_not_fit_leave_nothing_behind(
    changes: dict[str, Any], kind: type[Exception], tmp_path: Path, signer: CryptoSigner
) -> None:
    with pytest.raises(kind):
        build_and_sign_bundle(tmp_path / "bundle", make_content(**changes), signer)
    assert list(tmp_path.iterdir()) == []
