"""The command line of the whole house. A role is imported when one of its commands is given."""

from __future__ import annotations

from ._main import main
from ._tree import command_tree

__all__ = ["command_tree", "main"]
