"""`eucentric globus`: the account under which this machine moves files by Globus Transfer."""

from __future__ import annotations

from ._command import app

__all__ = ["app"]
