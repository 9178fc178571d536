"""What the commands of this room have in common."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from eucentric_core import ConfigurationError, Settings, TrustedKeys, load_settings, settings_for_model

from ._key_folder import KeyRole
from ._keys import PASSPHRASE_VARIABLE

if TYPE_CHECKING:
    from ._registered import RegisteredVersion
    from ._registry import Registry

__all__ = [
    "Catalogue",
    "Config",
    "Json",
    "Model",
    "Which",
    "ask_passphrase",
    "key_role",
    "open_catalogue",
    "person",
]

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Model = Annotated[str | None, typer.Option("--model", help="Model name; by default the edge's.")]
Which = Annotated[
    str, typer.Argument(help="A version (3 or v3), or champion, challenger or previous.", show_default=True)
]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The registry of these settings, and the model that is spoken of."""

    settings: Settings
    registry: Registry
    name: str

    def version(self, which: str) -> RegisteredVersion:
        """The version that was named.

        Raises:
            UnknownVersionError: there is none.
        """
        from ._errors import UnknownVersionError

        number = which.removeprefix("v")
        if number.isdigit():
            return self.registry.version(self.name, int(number))
        found = next(
            (version for version in self.registry.versions(self.name) if which in version.aliases), None
        )
        if found is None:
            raise UnknownVersionError(
                f"Model {self.name!r} has no {which!r}.",
                safe="nothing was changed.",
                next_step="see `eucentric models ls` for the versions and their aliases.",
            )
        return found


def open_catalogue(config: Path | None, model: str | None) -> Catalogue:
    """The registry that the settings name.

    Raises:
        ConfigurationError: settings or trusted keys cannot be used.
    """
    from ._registry import Registry

    settings = load_settings(config)
    registry = Registry(
        settings.hub.mlflow_url,
        TrustedKeys.read(settings.trusted_keys_path),
        login_file=settings.hub.mlflow_login_file,
    )
    name = model or settings.edge.model
    return Catalogue(settings_for_model(settings, name), registry, name)


def person() -> str:
    """Who types, for the history."""
    return getpass.getuser()


def ask_passphrase(wanted: bool, *, twice: bool = False) -> str | None:
    """A passphrase from the environment or the keyboard; None if none is wanted.

    Raises:
        ConfigurationError: nobody can be asked.
    """
    if not wanted:
        return None
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given
    try:
        answer: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice)
    except typer.Abort as error:
        raise ConfigurationError(
            "No passphrase was given.",
            safe="no key was changed.",
            next_step=f"type it, or set {PASSPHRASE_VARIABLE} for this command alone.",
        ) from error
    return answer


def key_role(name: str, *, next_step: str) -> KeyRole:
    """The role of a key that a person named.

    Raises:
        ConfigurationError: there is none of this name; says `next_step`.
    """
    roles: tuple[KeyRole, ...] = get_args(KeyRole)
    for role in roles:
        if role == name:
            return role
    raise ConfigurationError(
        f"{name!r} is no role of a key.", safe="no key was changed.", next_step=next_step
    )
