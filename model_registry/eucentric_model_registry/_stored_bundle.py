"""A bundle's files as they lie in MLflow's store, which is not believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import (
    BundleError,
    BundleManifest,
    checked_manifest,
    claimed_manifest,
    require_free_space,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["ARTIFACTS", "checked_files", "fetch_stored", "tampered"]

ARTIFACTS = "bundle"
"""Folder of a bundle among the files of its run."""

_MAX_FILES = 257
_MAX_BYTES = 2 << 30


def fetch_stored(client: MlflowClient, run_id: str, folder: Path) -> Path:
    """Fetch what is stored with a run into a folder; nothing of it was checked but its number and size.

    Raises:
        BundleError: MLflow lists what no bundle has.
        OutOfSpaceError: there is no room for it.
    """
    # MLflow lists what it likes: number, size and names are bounded before a byte is fetched.
    stored = client.list_artifacts(run_id, ARTIFACTS)
    total_bytes = sum(item.file_size or 0 for item in stored)
    misplaced = any(item.is_dir or item.path.count("/") != 1 for item in stored)
    if misplaced or len(stored) > _MAX_FILES or total_bytes > _MAX_BYTES:
        raise tampered("MLflow lists files that cannot belong to a bundle.")
    require_free_space(folder, total_bytes)
    (folder / ARTIFACTS).mkdir()
    for item in stored:
        client.download_artifacts(run_id, item.path, str(folder / ARTIFACTS))
    return folder / ARTIFACTS


def checked_files(folder: Path, *, expected_name: str | None = None) -> BundleManifest:
    """The manifest of a bundle, signed by whomever, whose files are those it lists.

    Raises:
        BundleError: a file is missing, too many, of another length or hash, or it is another model's.
    """
    claimed = claimed_manifest(folder)
    name = claimed.name if expected_name is None else expected_name
    return checked_manifest(folder, claimed.model_dump_json().encode(), expected_name=name)


def tampered(what: str) -> BundleError:
    """What MLflow holds is not what was put there."""
    return BundleError(
        what,
        safe="nothing was kept.",
        next_step="ask who changed MLflow's artifact store, then build and register the model again.",
    )
