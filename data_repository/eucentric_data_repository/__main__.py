"""`python -m eucentric_data_repository` is `eucentric repository`."""

from __future__ import annotations

from ._cli import app

if __name__ == "__main__":
    app(prog_name="eucentric repository")
