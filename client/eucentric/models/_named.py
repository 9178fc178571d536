"""From the name of a model to its verified files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleError,
    ConfigurationError,
    ServiceUnavailableError,
    Settings,
    TrustedKeys,
    load_settings,
    verify_bundle,
)
from eucentric_models.engines import (
    MODEL_FILE,
    EngineModel,
    ModelDescription,
    engine_named,
    read_description,
    require_golden_answers,
    shipped_folder,
    shipped_models,
)

__all__ = ["OpenedModel", "opened_model"]

Origin = Literal["shipped", "registered", "bundle", "folder"]


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that has repeated its golden answers here.

    Attributes:
        model: to apply.
        takes: what its engine takes.
        origin: where it came from.
        signed: whether a trusted key vouches for it.
    """

    model: EngineModel
    takes: Literal["image", "spectra"]
    origin: Origin
    signed: bool


@contextmanager
def opened_model(name: str, *, config: Path | None, device: str) -> Iterator[OpenedModel]:
    """Find, verify, open and test a model.

    Args:
        name: a folder (signed bundle, or with a `model.json`), a shipped model, or a registered one, whose
            champion is taken unless a version is named as in `atoms@3`.
        config: settings file, for the registry and the trusted keys.
        device: torch device.

    Raises:
        BundleError: a signed bundle is not what was signed.
        ConfigurationError: there is no model of this name, or no trusted keys.
        ModelsError: the engine refuses the model.
    """
    with _files(name, config) as (folder, description, origin, signed):
        engine = engine_named(description.engine)
        model = engine.open(folder, description, device=device)
        require_golden_answers(folder, model)
        yield OpenedModel(model, engine.takes, origin, signed)


@contextmanager
def _files(name: str, config: Path | None) -> Iterator[tuple[Path, ModelDescription, Origin, bool]]:
    folder = Path(name)
    if (folder / BUNDLE_ENVELOPE).is_file():
        trusted = TrustedKeys.read(load_settings(config).trusted_keys_path)
        manifest = verify_bundle(folder, trusted, expected_name=_claimed_name(folder), newer_than=None)
        yield folder, ModelDescription.of_manifest(manifest), "bundle", True
    elif (folder / MODEL_FILE).is_file():
        yield folder, read_description(folder), "folder", False
    elif name in shipped_models():
        yield shipped_folder(name), read_description(shipped_folder(name)), "shipped", False
    elif folder.is_dir() or "/" in name or "\\" in name:
        raise _unknown(name, f"{name} is not a folder with a model in it.")
    else:
        with _registered(name, load_settings(config)) as (fetched, description):
            yield fetched, description, "registered", True


@contextmanager
def _registered(name: str, settings: Settings) -> Iterator[tuple[Path, ModelDescription]]:
    from eucentric_model_registry import Registry

    model, _, wanted = name.partition("@")
    if wanted and not wanted.removeprefix("v").isdigit():
        raise _unknown(name, f"{wanted!r} is no version of a model.")
    registry = Registry(
        settings.hub.mlflow_url,
        TrustedKeys.read(settings.trusted_keys_path),
        login_file=settings.hub.mlflow_login_file,
    )
    try:
        champion = registry.champion(model) if not wanted else None
    except ServiceUnavailableError as error:
        raise _unknown(
            name, f"No model {name!r} is shipped, no folder has this name, and the registry does not answer."
        ) from error
    if not wanted and champion is None:
        raise _unknown(name, f"No model {name!r} is shipped or registered with a champion.")
    version = int(wanted.removeprefix("v")) if champion is None else champion.version
    with TemporaryDirectory(prefix="eucentric-model-") as folder:
        manifest = registry.download(model, version, Path(folder) / "bundle")
        yield Path(folder) / "bundle", ModelDescription.of_manifest(manifest)


def _claimed_name(folder: Path) -> str:
    # Only which model it says it is; whether that is true, verification decides.
    try:
        payload = json.loads((folder / BUNDLE_ENVELOPE).read_bytes())["payload"]
        return str(json.loads(base64.b64decode(payload))["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder} holds no signed bundle: {error}.",
            safe="nothing of it was opened.",
            next_step="fetch the bundle again.",
        ) from error


def _unknown(name: str, what: str) -> ConfigurationError:
    shipped = ", ".join(shipped_models()) or "none yet"
    return ConfigurationError(
        what,
        safe="nothing was written.",
        next_step=f"name a folder or a shipped model ({shipped}), or start the registry.",
        model=name,
    )
