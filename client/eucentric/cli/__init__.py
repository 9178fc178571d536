"""The command line of the whole house. A role is imported when one of its commands is given."""

from __future__ import annotations

from ._main import main

__all__ = ["main"]
