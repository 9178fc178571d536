"""The page on which a version was judged, stored beside it in MLflow."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlflow import MlflowClient

from eucentric_core import BundleError

__all__ = ["fetch_page", "store_evidence"]

PAGE = "comparison.html"
_FOLDER = "evidence"
_MAX_PAGE_BYTES = 32 << 20
_MAX_FILES = 64


def store_evidence(client: MlflowClient, run_id: str, folder: Path) -> None:
    """Store a folder of evidence (page, verdict, figures) with the run of a version; a repeat replaces it."""
    client.log_artifacts(run_id, str(folder), _FOLDER)


def fetch_page(client: MlflowClient, run_id: str) -> bytes | None:
    """The page; None if the version was judged without one.

    Raises:
        BundleError: MLflow lists a page longer than any.
    """
    listed = client.list_artifacts(run_id, _FOLDER)[:_MAX_FILES]
    page = next((item for item in listed if item.path == f"{_FOLDER}/{PAGE}"), None)
    if page is None:
        return None
    if (page.file_size or 0) > _MAX_PAGE_BYTES:
        raise BundleError(
            f"MLflow lists a page of evidence with {page.file_size} bytes.",
            safe="it was not fetched.",
            next_step="look at the run in MLflow.",
        )
    with tempfile.TemporaryDirectory(prefix="eucentric-evidence-") as folder:
        return Path(client.download_artifacts(run_id, page.path, folder)).read_bytes()
