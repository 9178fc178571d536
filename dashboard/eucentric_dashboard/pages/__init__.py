"""The pages there are, in the order of the navigation."""

from __future__ import annotations

from ..site import Page
from .audit import PAGE as AUDIT
from .data import PAGE as DATA
from .fleet import PAGE as FLEET
from .flows import PAGE as FLOWS
from .live import PAGE as LIVE
from .maps import PAGE as MAPS
from .models import PAGE as MODELS
from .policies import PAGE as POLICIES
from .studio import PAGE as STUDIO

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (LIVE, MAPS, STUDIO, FLOWS, POLICIES, MODELS, DATA, FLEET, AUDIT)
"""What is listed has a route and a place in the navigation; nothing else has."""
