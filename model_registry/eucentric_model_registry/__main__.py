"""`python -m eucentric_model_registry models server`: the room without the command line of the house."""

from __future__ import annotations

from ._cli import app

if __name__ == "__main__":
    app(prog_name="eucentric")
