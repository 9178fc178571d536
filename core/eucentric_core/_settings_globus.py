"""How this machine moves files by Globus Transfer: who it is there, and what shows its own disk to Globus."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ._model import FrozenModel

__all__ = ["GlobusSettings"]

_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Uuid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


def _collection_path(path: str) -> str:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts or not path.isprintable():
        raise ValueError("give an absolute path of the collection, e.g. /C/eucentric or /~/eucentric")
    return path.rstrip("/") or "/"


class GlobusSettings(FrozenModel):
    """Who we are at Globus, and where our files are for it. For addresses `globus://COLLECTION/base/path`.

    The secret of a service is no setting: it is read from `secret_file`, or from the environment
    variable `EUCENTRIC_GLOBUS_SECRET`.

    Args:
        client_id: of the application registered at app.globus.org/settings/developers.
        app: a `service` acts as itself with a secret; a `person` has logged in by `eucentric globus login`.
        secret_file: the service's secret, one line, readable by its owner alone.
        source_collection: id of the collection that shows this machine's disk to Globus.
        source_root: local folder that it shows; what lies elsewhere is copied into it before it is sent.
            None: the folder `home`.
        source_base: path of that folder within the collection; on Windows e.g. `/C/eucentric`.
        folder: tokens and the record of submitted tasks; None: `globus` within `home`.
        deadline_s: a transfer that takes longer is cancelled and reported.
        poll_min_s: first wait between two looks at a running task; the waits grow.
        poll_max_s: longest wait between two looks.
        receipts_min_s: shortest wait between two looks for receipts; each is a request, or a task as well.
        receipts_max_s: longest; the waits grow while none comes.
        max_files_per_task: a larger batch becomes several tasks.
        max_active_tasks: tasks of this machine at a time. Globus works on three of one identity and lets the
            others wait; what is left is for other machines and people under the same identity.
        checksum: what both ends compute and compare with the content's own; `md5` for collections that do
            not offer SHA-256.
        encrypt: the data on their way between the collections.
    """

    client_id: _Uuid | None = None
    app: Literal["service", "person"] = "person"
    secret_file: _AbsolutePath | None = None
    source_collection: _Uuid | None = None
    source_root: _AbsolutePath | None = None
    source_base: Annotated[str, Field(max_length=1000), AfterValidator(_collection_path)] = "/"
    folder: _AbsolutePath | None = None
    deadline_s: Annotated[float, Field(ge=1, le=30 * 86400)] = 86400.0
    poll_min_s: Annotated[float, Field(ge=0.02, le=3600)] = 1.0
    poll_max_s: Annotated[float, Field(ge=0.02, le=3600)] = 30.0
    receipts_min_s: Annotated[float, Field(ge=0.02, le=3600)] = 10.0
    receipts_max_s: Annotated[float, Field(ge=0.02, le=3600)] = 120.0
    max_files_per_task: Annotated[int, Field(ge=1, le=10_000)] = 500
    max_active_tasks: Annotated[int, Field(ge=1, le=3)] = 2
    checksum: Literal["sha256", "md5"] = "sha256"
    encrypt: bool = True

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.poll_min_s > self.poll_max_s:
            raise ValueError("poll_min_s is larger than poll_max_s")
        if self.receipts_min_s > self.receipts_max_s:
            raise ValueError("receipts_min_s is larger than receipts_max_s")
        return self

    def within(self, home: Path) -> GlobusSettings:
        """The same, with the folders that were not given placed in the home folder."""
        return self.model_copy(
            update={"source_root": self.source_root or home, "folder": self.folder or home / "globus"}
        )
