"""The hub's catalogue of models: keys, signed bundles, promotion gates, and MLflow behind a typed seam."""

from __future__ import annotations

from ._bundle_builder import BundleContent, build_and_sign_bundle
from ._draft_bundle import BundleIdentity, build_and_sign_draft
from ._errors import RegistryError, UnknownVersionError, VersionConflictError
from ._gates import Comparison, Evidence, GateCheck, Gates, HoldoutScore, Verdict, judge
from ._keys import generate_keys, load_signer, trusted_keys_of
from ._registered import Promotion, RegisteredVersion
from ._registry import Registry
from ._server import mlflow_server

__all__ = [
    "BundleContent",
    "BundleIdentity",
    "Comparison",
    "Evidence",
    "GateCheck",
    "Gates",
    "HoldoutScore",
    "Promotion",
    "RegisteredVersion",
    "Registry",
    "RegistryError",
    "UnknownVersionError",
    "Verdict",
    "VersionConflictError",
    "build_and_sign_bundle",
    "build_and_sign_draft",
    "generate_keys",
    "judge",
    "load_signer",
    "mlflow_server",
    "trusted_keys_of",
]
