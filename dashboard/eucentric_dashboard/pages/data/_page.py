"""The data page: sessions with pictures, search, notes, notebooks, transfers."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from ..._per_site import PerSite
from ...site import Visit, heading
from ...widgets import add_style, require_extra
from ._details_card import DetailsCard
from ._search_card import SearchCard
from ._source import data_source_of
from ._transfers_card import TransfersCard, shipping_reading

__all__ = ["build_data"]

_LOOK_PERIOD_S = 5.0
_PERIOD_S = 1.0

_shipping_of = PerSite(
    shipping_reading, key=lambda settings: (settings.agent.host, settings.agent.control_port)
)


def build_data(visit: Visit) -> None:
    """Build the page for one viewer. `?dataset=ID` opens a data set.

    Raises:
        ConfigurationError: the repository's room is not installed here.
    """
    require_extra("repository", "Data sets")
    add_style(Path(__file__).with_name("style.css"))
    source = data_source_of(visit.settings)
    heading("Data", level=1)
    with ui.element("div").classes("columns data"):
        left, right = ui.element("div").classes("stack"), ui.element("div").classes("stack")
    with right:
        details = DetailsCard(visit, source)
        transfers = TransfersCard(_shipping_of(visit.settings))
    with left:
        search = SearchCard(source, on_open=details.open)

    def refresh() -> None:
        transfers.refresh()
        search.refresh_pictures()

    refresh()
    ui.timer(_PERIOD_S, refresh)
    ui.timer(_LOOK_PERIOD_S, search.look, immediate=True)
    wanted = ui.context.client.request.query_params.get("dataset")
    if wanted:
        ui.timer(0.0, lambda: details.open(wanted), once=True)
