"""The shell around every page: navigation, status strip, login, and how a page calls the platform.

To add a page, make `eucentric_dashboard/pages/NAME/__init__.py` with

    PAGE = Page(path="/maps", title="Maps", icon="map", build=build_maps, least_role=Role.VIEWER)

where `build_maps(visit: Visit) -> None` builds the content with NiceGUI inside the shell, and name it in
`eucentric_dashboard/pages/__init__.py`: that list makes both routes and navigation. In the builder:

- `visit.hub` follows the chosen instrument, `visit.settings` has its addresses, `visit.person` looks at it.
- What may block is done by `await call(work, timeout_s=...)`; `with errors_shown():` around it tells failure.
- Every action begins with `require_role(visit, Role.SCIENTIST)`, on the server, however the button looked.
- Where nothing can be shown, `empty_panel`, `error_panel` or `offline_panel` says why and what to do.
"""

from __future__ import annotations

from ._call import call, errors_shown
from ._pages import Page
from ._panels import empty_panel, error_panel, heading, offline_panel
from ._roles import may, require_role
from ._routes import mount_pages, shell_router
from ._tile import Tile
from ._visit import Person, Visit

__all__ = [
    "Page",
    "Person",
    "Tile",
    "Visit",
    "call",
    "empty_panel",
    "error_panel",
    "errors_shown",
    "heading",
    "may",
    "mount_pages",
    "offline_panel",
    "require_role",
    "shell_router",
]
