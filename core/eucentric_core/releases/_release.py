"""One release: the statement that from now on this bundle of a model is the one to serve."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .._model import FrozenModel, Identifier, Sha256, UtcDatetime

__all__ = ["Release", "bundle_folder", "challenger_target", "release_target"]

_Number = Annotated[int, Field(ge=1, le=10**9)]


class Release(FrozenModel):
    """A signed statement about one model; a target of the TUF metadata.

    Releases only rise. Going back is a new, higher release that names an older bundle, so that it is as
    much signed, dated and explained as going forward.

    Attributes:
        model: whose release it is.
        number: rises by one with every release of the model.
        root_version: version of the root metadata it was made under. It ranks before the number: whoever
            stole the key of releases can count as high as they like, and are outrun by the next root.
        bundle_version: version in the signed manifest of the bundle.
        envelope_sha256: hash of the bundle's signed manifest, which holds the hashes of all its files.
        envelope_length_bytes: length of the same.
        replaces: bundle version of the release before, None for the first.
        reason: why, for people.
        who: whose decision it was.
        released_utc: when.
    """

    schema_version: Literal[1] = 1
    model: Identifier
    number: _Number
    root_version: _Number
    bundle_version: _Number
    envelope_sha256: Sha256
    envelope_length_bytes: Annotated[int, Field(gt=0, le=1 << 20)]
    replaces: _Number | None = None
    reason: Annotated[str, Field(max_length=4000)]
    who: Annotated[str, Field(max_length=200)]
    released_utc: UtcDatetime

    @property
    def rank(self) -> tuple[int, int]:
        """What only rises: root version, then number."""
        return self.root_version, self.number

    @property
    def is_rollback(self) -> bool:
        """Whether it goes back to an older bundle."""
        return self.replaces is not None and self.bundle_version < self.replaces


def release_target(model: str) -> str:
    """Name of a model's release among the targets of the metadata."""
    return f"{model}.release.json"


def challenger_target(model: str) -> str:
    """Name of the release of a challenger: to be tried and measured by edges, never to be served."""
    return f"{model}.challenger.release.json"


def bundle_folder(model: str, version: int) -> str:
    """Where the files of a released bundle lie, from the root of the releases."""
    return f"bundles/{model}/v{version:06d}"
