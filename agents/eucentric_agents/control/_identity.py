"""Who asks for something: the other end of a connection, and what its program calls itself."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from eucentric_core import Caller, Role

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller under one of the labels its programs use.

    Args:
        caller: what the connection proves.
        label: what the program at the other end calls itself; proves nothing.
    """

    caller: Caller
    label: str

    @property
    def name(self) -> str:
        """How it appears in the lease and in the audit log: a proven name comes first.

        Without a proof, as on a loopback channel without keys, the label is all there is.
        """
        if not self.caller.authenticated:
            return self.label
        return self.caller.name if self.label == self.caller.name else f"{self.caller.name}/{self.label}"

    @property
    def key(self) -> tuple[bool, bool, str, str]:
        """Equal for two calls of the same program of the same person, whatever connection they came by.

        The name alone is not enough: without keys anybody may choose a label that reads like one.
        """
        caller = self.caller
        return caller.authenticated, caller.local, caller.name, self.label

    @property
    def role(self) -> Role:
        """What it may do."""
        return self.caller.role

    @property
    def local(self) -> bool:
        """Whether it sits at the instrument itself."""
        return self.caller.local

    def answers_to(self, name: str) -> bool:
        """Whether `name` means this one: the full name, or the proven part of it."""
        return name == self.name or (self.caller.authenticated and name == self.caller.name)

    def traits(self) -> dict[str, JsonValue]:
        """What the audit log keeps beside the name."""
        found: dict[str, JsonValue] = {"address": self.caller.address}
        if self.caller.fingerprint is not None:
            found["fingerprint"] = self.caller.fingerprint
        return found
