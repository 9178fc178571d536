"""A hub in small: keys, signed releases, and a model of its own in a real MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner

from eucentric_core import Settings, load_settings, verify_bundle
from eucentric_model_registry import (
    KeyFolder,
    Registry,
    ReleaseBook,
    build_and_sign_bundle,
    create_trust,
    load_signer,
    move_champion,
)
from eucentric_model_registry._cli import models_app

from .contents import make_content

__all__ = ["Hub"]


class Hub:
    """A site with keys, releases, a model of its own in MLflow, and a door where its edge would be."""

    def __init__(self, folder: Path, mlflow_url: str, name: str, control_port: int) -> None:
        self.name = name
        self.config = folder / "eucentric.toml"
        self.config.write_text(
            f'home = "{folder / "home"}"\n[hub]\nmlflow_url = "{mlflow_url}"\n'
            f'[edge]\nmodel = "{name}"\ncontrol_port = {control_port}\n'
        )
        self.settings: Settings = load_settings(self.config)
        self.keys = KeyFolder.of(self.settings)
        self.trusted = create_trust(self.keys, self.settings.releases_path)
        self.registry = Registry(mlflow_url, self.trusted)
        self._folder = folder

    def build(self, version: int, **changes: Any) -> Path:
        """Build and sign a version."""
        folder = self._folder / f"bundle-{uuid4().hex[:8]}"
        content = make_content(name=self.name, version=version, trigger_id=f"t{version}", **changes)
        build_and_sign_bundle(folder, content, load_signer(self.keys.signing))
        return folder

    def register(self, version: int, **changes: Any) -> Path:
        """Build, sign and register a version."""
        folder = self.build(version, **changes)
        self.registry.register(self.name, folder)
        return folder

    def move(self, version: int, reason: str = "better") -> Any:
        """Make a version champion."""
        return move_champion(self.settings, self.registry, self.name, version, reason=reason, who="alice")

    def release(self, folder: Path, reason: str) -> None:
        """Sign the release of a bundle; catalogue and edge are not told."""
        manifest = verify_bundle(folder, self.trusted, expected_name=self.name, newer_than=None)
        ReleaseBook(self.settings.releases_path, self.keys).publish(
            folder, manifest, reason=reason, who="test"
        )

    @property
    def folder(self) -> Path:
        """Where releases are published."""
        return self.settings.releases_path

    @property
    def released(self) -> tuple[int, int] | None:
        """Number of the newest release and the version it names."""
        book = ReleaseBook.of(self.settings)
        release = None if book is None else book.current(self.name)
        return None if release is None else (release.number, release.bundle_version)

    @property
    def aliases(self) -> dict[str, int]:
        """Which version has which alias."""
        return {alias: v.version for v in self.registry.versions(self.name) for alias in v.aliases}

    def run(self, *words: str) -> Any:
        """Type `eucentric models ...`."""
        return CliRunner().invoke(models_app, [*words, "--config", str(self.config)])
