"""`eucentric hub`: a site's hub, set up, running, watched, copied and put back."""

from __future__ import annotations

from ._command import app

__all__ = ["app"]
