"""What acts by itself: policies, their sentence, their back-test, approvals, and why each thing happened."""

from __future__ import annotations

from ...site import Page
from ._page import build_policies

__all__ = ["PAGE"]

PAGE = Page(path="/policies", title="Policies", icon="rule", build=build_policies)
