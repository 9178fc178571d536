"""The hub's catalogue of models: keys, signed bundles, promotion gates, and MLflow behind a typed seam."""

from __future__ import annotations

from ._bundle_builder import BundleContent, build_and_sign_bundle
from ._draft_bundle import BundleIdentity, build_and_sign_draft
from ._errors import RegistryError, UnknownVersionError, VersionConflictError
from ._figures import Figure, FigureName, Figures
from ._gates import Comparison, Evidence, Gates, HoldoutScore, judge
from ._judge import GateCheck, MetricGate, Verdict, judge_figures
from ._keys import generate_keys, load_signer, trusted_keys_of
from ._registered import Promotion, RegisteredVersion
from ._registry import Registry
from ._server import mlflow_server

__all__ = [
    "BundleContent",
    "BundleIdentity",
    "Comparison",
    "Evidence",
    "Figure",
    "FigureName",
    "Figures",
    "GateCheck",
    "Gates",
    "HoldoutScore",
    "MetricGate",
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
    "judge_figures",
    "load_signer",
    "mlflow_server",
    "trusted_keys_of",
]
