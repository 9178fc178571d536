"""`python -m eucentric_flows`."""

from __future__ import annotations

from ._cli import app

if __name__ == "__main__":
    app()
