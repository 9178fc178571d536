"""A site in small to learn and try on: real services with a simulated microscope, gone at the end."""

from __future__ import annotations

from ._jump_hosts import JumpHosts
from ._practice_keys import PracticeKeys
from ._practice_site import PracticeSite

__all__ = ["JumpHosts", "PracticeKeys", "PracticeSite"]
