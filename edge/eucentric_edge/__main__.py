"""`python -m eucentric_edge`."""

from __future__ import annotations

from ._cli import app

app()
