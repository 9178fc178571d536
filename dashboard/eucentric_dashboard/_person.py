"""Somebody at a browser."""

from __future__ import annotations

from dataclasses import dataclass

from eucentric_core import Role

__all__ = ["Person"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a browser. The role is one of the project's own; each covers those before it."""

    name: str
    role: Role
