"""`python -m eucentric_dashboard serve ...`"""

from __future__ import annotations

from ._cli import app

app(prog_name="eucentric-dashboard")
