"""The hub's catalogue of models: keys, signed bundles, promotion gates, and MLflow behind a typed seam."""

from __future__ import annotations

from ._behaviour import BEHAVIOUR_SETS, Sample, edge_figures, measure_behaviour
from ._bundle_builder import BundleContent, build_and_sign_bundle
from ._deployments import Deployment, Deployments, DeploymentState
from ._draft_bundle import BundleIdentity, build_and_sign_draft
from ._errors import (
    ChampionMovedError,
    RegistryError,
    RegistryUnavailableError,
    SignaturesMissingError,
    UnknownVersionError,
    VersionConflictError,
)
from ._figures import Figure, FigureName, Figures
from ._gates import Comparison, Evidence, Gates, HoldoutScore, judge
from ._judge import GateCheck, MetricGate, Verdict, judge_figures, with_behaviour
from ._key_ceremony import create_trust, rotate_key
from ._key_folder import KeyFolder, KeyRole
from ._keys import generate_keys, load_signer, trusted_keys_of
from ._mlflow_library import import_mlflow
from ._moving import Moved, move_champion, take_back
from ._one_move import Seen
from ._page import PageHeader, SideBySide, comparison_page, side_by_side
from ._push import pushing
from ._registered import Promotion, RegisteredVersion
from ._registry import Registry
from ._release_book import ReleaseBook, Renewal
from ._server import mlflow_server, mlflow_server_of
from ._site_edges import goes_by_releases
from ._telling import (
    FigurePair,
    HistoryLine,
    ServicePeriod,
    compare_figures,
    deployment_sentences,
    service_periods,
    tell_history,
)

__all__ = [
    "BEHAVIOUR_SETS",
    "BundleContent",
    "BundleIdentity",
    "ChampionMovedError",
    "Comparison",
    "Deployment",
    "DeploymentState",
    "Deployments",
    "Evidence",
    "Figure",
    "FigureName",
    "FigurePair",
    "Figures",
    "GateCheck",
    "Gates",
    "HistoryLine",
    "HoldoutScore",
    "KeyFolder",
    "KeyRole",
    "MetricGate",
    "Moved",
    "PageHeader",
    "Promotion",
    "RegisteredVersion",
    "Registry",
    "RegistryError",
    "RegistryUnavailableError",
    "ReleaseBook",
    "Renewal",
    "Sample",
    "Seen",
    "ServicePeriod",
    "SideBySide",
    "SignaturesMissingError",
    "UnknownVersionError",
    "Verdict",
    "VersionConflictError",
    "build_and_sign_bundle",
    "build_and_sign_draft",
    "compare_figures",
    "comparison_page",
    "create_trust",
    "deployment_sentences",
    "edge_figures",
    "generate_keys",
    "goes_by_releases",
    "import_mlflow",
    "judge",
    "judge_figures",
    "load_signer",
    "measure_behaviour",
    "mlflow_server",
    "mlflow_server_of",
    "move_champion",
    "pushing",
    "rotate_key",
    "service_periods",
    "side_by_side",
    "take_back",
    "tell_history",
    "trusted_keys_of",
    "with_behaviour",
]
