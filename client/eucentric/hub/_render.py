"""Writing what was rendered: nothing is overwritten without being asked, and nothing is lost then either."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from eucentric_core import ConfigurationError, FrozenModel, Settings, Sha256, write_atomic

from ._complete import complete_settings
from ._files import postgres_configuration, postgres_hosts, proxy_configuration
from ._folder import HubFolder
from ._units import units

__all__ = ["Change", "RenderedFile", "plan_changes", "render", "write_changes"]


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file by its path below the hub's folder."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """What writing a file would do.

    `new`: it is not there; `same`: it is as it would be written; `outdated`: it is as it was written last,
    and the settings or the program have changed; `edited`: somebody changed it by hand.
    """

    file: RenderedFile
    state: Literal["new", "same", "outdated", "edited"]


class _Written(FrozenModel):
    """What was written last."""

    files: dict[str, Sha256] = {}


def render(settings: Settings) -> tuple[RenderedFile, ...]:
    """Every file of a hub but its secrets. Pure.

    Args:
        settings: as the site gave them.

    Raises:
        ConfigurationError: they contradict what the hub decides, or a path cannot be written into a file.
    """
    import tomlkit

    folder = HubFolder(settings.home)
    document = complete_settings(settings)
    complete = Settings.model_validate(document)
    header = (
        "# Written by `eucentric hub init` from the site's own file: change that one, and run it again.\n"
    )
    return (
        RenderedFile(folder.settings.name, header + tomlkit.dumps(document)),
        RenderedFile(folder.postgres_configuration.name, postgres_configuration(complete, folder)),
        RenderedFile("pg_hba.conf", postgres_hosts()),
        RenderedFile(folder.proxy_configuration.name, proxy_configuration(complete, folder)),
        *(RenderedFile(f"systemd/{name}", text) for name, text in sorted(units(complete, folder).items())),
    )


def plan_changes(folder: HubFolder, files: tuple[RenderedFile, ...]) -> tuple[Change, ...]:
    """What writing these files would do; nothing is written."""
    written = _read_written(folder).files
    return tuple(
        Change(file, _state(folder.root / file.name, file, written.get(file.name))) for file in files
    )


def write_changes(
    folder: HubFolder, changes: tuple[Change, ...], *, replace: bool, now: datetime
) -> tuple[Path, ...]:
    """Write what is new, and with `replace` what differs. What was edited by hand is kept beside it.

    Returns:
        The copies that were kept.

    Raises:
        ConfigurationError: something differs, and `replace` was not asked for; nothing was written.
    """
    different = [change for change in changes if change.state in ("outdated", "edited")]
    if different and not replace:
        names = ", ".join(f"{change.file.name} ({change.state})" for change in different)
        raise ConfigurationError(
            f"{folder.root} holds other files already: {names}.",
            safe="nothing was written.",
            next_step="look at them, then give --replace; what was edited by hand is kept beside them.",
            files=[change.file.name for change in different],
        )
    kept = []
    for change in changes:
        path = folder.root / change.file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if change.state == "edited":
            aside = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}")
            path.replace(aside)
            kept.append(aside)
        if change.state != "same":
            write_atomic(path, change.file.text.encode())
    hashes = {change.file.name: change.file.sha256 for change in changes}
    write_atomic(folder.rendered, _Written(files=hashes).model_dump_json(indent=2).encode())
    return tuple(kept)


def _state(
    path: Path, file: RenderedFile, written: str | None
) -> Literal["new", "same", "outdated", "edited"]:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "new"
    if found == file.sha256:
        return "same"
    return "outdated" if found == written else "edited"


def _read_written(folder: HubFolder) -> _Written:
    try:
        return _Written.model_validate_json(folder.rendered.read_bytes())
    except FileNotFoundError:
        return _Written()
    except ValidationError:
        # Then every file counts as edited, and is kept.
        return _Written()
