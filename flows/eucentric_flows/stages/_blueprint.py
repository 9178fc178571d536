"""What a model is made of, without its weights; and the champion it is taken from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eucentric_core import DEFAULT_ENGINE, BundleManifest, TrustedKeys, verify_bundle
from eucentric_model_registry import Registry
from eucentric_models import Decoding, NetworkSpec, Preprocessing, StartConditions, start_material_named

from .._errors import HeldError

__all__ = ["Blueprint", "Champion", "fetch_base", "fetch_champion"]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Engine, architecture and parameters that every version of a model shares.

    `classes` are those the network tells apart, in the order of its heat maps.
    """

    engine: str
    material: str
    classes: tuple[str, ...]
    network: NetworkSpec
    preprocessing: Preprocessing
    decoding: Decoding

    @classmethod
    def of_manifest(cls, manifest: BundleManifest) -> Blueprint:
        """The blueprint of a published model.

        Raises:
            HeldError: another engine than `atoms` reads it: it has no networks of this kind.
        """
        if manifest.engine != DEFAULT_ENGINE:
            raise HeldError(
                f"model {manifest.name} is for the engine {manifest.engine!r}, not for columns of atoms",
                safe="nothing was trained; the model in service keeps serving.",
                next_step="name a recipe for that engine in the policy.",
            )
        return cls(
            engine=manifest.engine,
            material=manifest.material,
            classes=manifest.classes,
            network=NetworkSpec.model_validate(manifest.network),
            preprocessing=Preprocessing.model_validate(manifest.preprocessing),
            decoding=Decoding.model_validate(manifest.decoding),
        )

    @classmethod
    def of_conditions(cls, conditions: StartConditions) -> Blueprint:
        """The blueprint of a first model."""
        return cls(
            engine=DEFAULT_ENGINE,
            material=conditions.material,
            classes=start_material_named(conditions.material).detectable_classes,
            network=conditions.network,
            preprocessing=conditions.preprocessing,
            decoding=conditions.decoding,
        )


@dataclass(frozen=True, slots=True)
class Champion:
    """The model in production, verified, with its files at hand."""

    manifest: BundleManifest
    folder: Path

    @property
    def blueprint(self) -> Blueprint:
        """What it is made of."""
        return Blueprint.of_manifest(self.manifest)

    @property
    def members(self) -> tuple[Path, ...]:
        """Weights, one safetensors file per member."""
        return tuple(self.folder / name for name in self.manifest.members)


def fetch_champion(registry: Registry, trusted: TrustedKeys, model: str, folder: Path) -> Champion | None:
    """Download the champion and verify it; a folder that is there already is verified again instead.

    Returns:
        None before the first model.

    Raises:
        BundleError: it is not what was signed.
    """
    if folder.exists():
        return Champion(verify_bundle(folder, trusted, expected_name=model, newer_than=None), folder)
    champion = registry.champion(model)
    if champion is None:
        return None
    return Champion(registry.download(model, champion.version, folder), folder)


def fetch_base(
    registry: Registry, trusted: TrustedKeys, champion: Champion, version: int, folder: Path
) -> Champion:
    """Download the version whose weights a training starts from, in place of the champion's, and verify it.

    Raises:
        HeldError: it has another network than the champion.
        BundleError: it is not what was signed.
    """
    model = champion.manifest.name
    if folder.exists():
        base = Champion(verify_bundle(folder, trusted, expected_name=model, newer_than=None), folder)
    else:
        base = Champion(registry.download(model, version, folder), folder)
    if (
        base.manifest.network != champion.manifest.network
        or base.manifest.classes != champion.manifest.classes
    ):
        raise HeldError(
            f"v{version} of model {model} has another network than its champion",
            safe="nothing was trained; the model in service keeps serving.",
            next_step="name a base_version of the champion's kind in the policy, or none.",
        )
    return base
