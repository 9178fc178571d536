"""`python -m eucentric_dashboard serve ...`"""

from __future__ import annotations

from ._cli import app

# Processes that this one starts import it again, under another name.
if __name__ == "__main__":
    app(prog_name="eucentric-dashboard")
