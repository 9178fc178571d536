"""The hub's catalogue of models: keys, signed bundles, promotion gates, and MLflow behind a typed seam."""

from __future__ import annotations

from ._bundle_builder import BundleContent, build_and_sign_bundle
from ._deployments import Deployment, Deployments, DeploymentState
from ._draft_bundle import BundleIdentity, build_and_sign_draft
from ._errors import RegistryError, RegistryUnavailableError, UnknownVersionError, VersionConflictError
from ._figures import Figure, FigureName, Figures
from ._gates import Comparison, Evidence, Gates, HoldoutScore, judge
from ._judge import GateCheck, MetricGate, Verdict, judge_figures
from ._key_ceremony import create_trust, rotate_key
from ._key_folder import KeyFolder, KeyRole
from ._keys import generate_keys, load_signer, trusted_keys_of
from ._moving import Moved, move_champion, take_back
from ._registered import Promotion, RegisteredVersion
from ._registry import Registry
from ._release_book import ReleaseBook, Renewal
from ._server import mlflow_server

__all__ = [
    "BundleContent",
    "BundleIdentity",
    "Comparison",
    "Deployment",
    "DeploymentState",
    "Deployments",
    "Evidence",
    "Figure",
    "FigureName",
    "Figures",
    "GateCheck",
    "Gates",
    "HoldoutScore",
    "KeyFolder",
    "KeyRole",
    "MetricGate",
    "Moved",
    "Promotion",
    "RegisteredVersion",
    "Registry",
    "RegistryError",
    "RegistryUnavailableError",
    "ReleaseBook",
    "Renewal",
    "UnknownVersionError",
    "Verdict",
    "VersionConflictError",
    "build_and_sign_bundle",
    "build_and_sign_draft",
    "create_trust",
    "generate_keys",
    "judge",
    "judge_figures",
    "load_signer",
    "mlflow_server",
    "move_champion",
    "rotate_key",
    "take_back",
    "trusted_keys_of",
]
