"""Which versions are installed: one small file, written as a whole, that a restart goes by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from eucentric_core import ConfigurationError, FrozenModel, Identifier, write_atomic
from eucentric_core.releases import Release

__all__ = ["InstalledState", "folder_by_hash"]

_Version = Annotated[int, Field(ge=1)]


class InstalledState(FrozenModel):
    """The installed versions of one model.

    Attributes:
        model_name: the model this edge serves.
        current: the version in service.
        previous: the version to go back to, if there is one.
        highest: the highest version ever installed. Only higher ones are accepted, so that nobody
            can bring back an old version with its valid old signature.
        current_release: the release that put `current` in service, where there are releases.
        previous_release: the same of `previous`.
        rank: root version and number of the highest release ever installed; only higher ones are accepted.
            Versions may go down then: a signed rollback is a higher release of an older version.
    """

    schema_version: Literal[1, 2] = 2
    model_name: Identifier
    current: _Version | None = None
    previous: _Version | None = None
    highest: Annotated[int, Field(ge=0)] = 0
    current_release: Release | None = None
    previous_release: Release | None = None
    rank: tuple[int, int] | None = None

    def release_of(self, version: int) -> Release | None:
        """The release that an installed version came with."""
        for release in (self.current_release, self.previous_release):
            if release is not None and release.bundle_version == version:
                return release
        return None

    def pins(self, release: Release) -> bool:
        """Whether an installed version is the very bundle that a release names."""
        known = self.release_of(release.bundle_version)
        return known is not None and known.envelope_sha256 == release.envelope_sha256

    def folder_of(self, version: int, models: Path) -> Path:
        """Where the bundle of an installed version lies below the folder of all of them.

        A version is kept by its number; one that took the place of another content under the same number, as
        after a theft, by number and hash: until the state is written the other one still lies beside it.
        """
        plain, release = models / f"v{version:06d}", self.release_of(version)
        if release is None:
            return plain
        own = folder_by_hash(release, models)
        return own if own.is_dir() else plain

    def write(self, path: Path) -> None:
        """Write durably; a reader sees the old or the new state.

        Raises:
            OutOfSpaceError: the disk is full; the old state is still there.
        """
        write_atomic(path, self.model_dump_json().encode())

    @classmethod
    def read(cls, path: Path, *, model_name: str) -> InstalledState:
        """The state, or an empty one if nothing was ever installed.

        Raises:
            ConfigurationError: the file is damaged, or belongs to another model.
        """
        try:
            state = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return cls(model_name=model_name)
        except (OSError, ValidationError) as error:
            raise _unusable(f"{path} is damaged: {error}.") from error
        if state.model_name != model_name:
            raise _unusable(f"{path} belongs to model {state.model_name!r}, not {model_name!r}.")
        return state


def folder_by_hash(release: Release, models: Path) -> Path:
    """Where a released bundle lies if its version number is in use with another content."""
    return models / f"v{release.bundle_version:06d}-{release.envelope_sha256[:12]}"


def _unusable(what: str) -> ConfigurationError:
    # Starting afresh by itself would forget `highest` and open the door to old versions.
    return ConfigurationError(
        what,
        safe="nothing was started and no installed model was touched.",
        next_step="restore the file, or give this edge a new home folder and install a model again.",
    )
