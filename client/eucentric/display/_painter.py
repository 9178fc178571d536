"""From a thing to the module that shows its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from eucentric_core import Frame, FrozenModel

from ._capabilities import capabilities_card
from ._card import card, escaped
from ._dataset import details_card, entry_card, manifest_card, search_card, shard_card
from ._decision import decision_card
from ._error import report_card
from ._frame import frame_card
from ._lease import lease_card
from ._run import run_card
from ._search import search_log_card
from ._state import state_card
from ._version import bundle_card, promotion_card, version_card

__all__ = ["html_for"]

# By name, because the classes of other rooms must not be imported before somebody uses them.
_KINDS: Mapping[tuple[str, str], Callable[[Any], str]] = MappingProxyType(
    {
        ("eucentric_core", "BundleManifest"): bundle_card,
        ("eucentric_core", "Capabilities"): capabilities_card,
        ("eucentric_core", "DatasetManifest"): manifest_card,
        ("eucentric_core", "ErrorReport"): report_card,
        ("eucentric_core", "InstrumentState"): state_card,
        ("eucentric_core", "LeaseStatus"): lease_card,
        ("eucentric_core", "Shard"): shard_card,
        ("eucentric_data_repository", "DatasetDetails"): details_card,
        ("eucentric_data_repository", "DatasetEntry"): entry_card,
        ("eucentric_data_repository", "SearchResult"): search_card,
        ("eucentric_flows", "DecisionView"): decision_card,
        ("eucentric_flows", "RunView"): run_card,
        ("eucentric_model_registry", "Promotion"): promotion_card,
        ("eucentric_model_registry", "RegisteredVersion"): version_card,
        ("eucentric_models", "AcquisitionLog"): search_log_card,
    }
)


def html_for(thing: object) -> str | None:
    """Show a thing of this project as HTML; None for things of others."""
    if isinstance(thing, Frame):
        return frame_card(thing)
    for kind in type(thing).__mro__:
        shown = _KINDS.get((kind.__module__.partition(".")[0], kind.__name__))
        if shown is not None:
            return shown(thing)
    return _plain_card(thing) if isinstance(thing, FrozenModel) else None


def _plain_card(thing: FrozenModel) -> str:
    """Anything else: its fields, each with the unit in its name."""
    rows = [(name, getattr(thing, name)) for name in type(thing).model_fields]
    return card(type(thing).__name__, rows) if rows else f"<div><b>{escaped(type(thing).__name__)}</b></div>"
