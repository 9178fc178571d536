"""Who asks for something: the other end of a connection, and what its program calls itself."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from pydantic import JsonValue

from eucentric_core import Caller, Role

__all__ = ["AGENT", "Identity"]

AGENT = "agent"
"""Who acts when the agent itself does; nobody else has this name."""


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

        Without a proof, as on a loopback channel without keys, the label is all there is. One that cannot
        be printed is left out, and nobody reads like the agent itself.
        """
        label = self.label if self.label.isprintable() else self.caller.name
        if not self.caller.authenticated:
            return _not_the_agent(label)
        return _not_the_agent(
            self.caller.name if label == self.caller.name else f"{self.caller.name}/{label}"
        )

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

    def is_same_person(self, other: Identity) -> bool:
        """Whether it is the same program, or another one of the same proven person at the same place."""
        mine, theirs = self.caller, other.caller
        proven = mine.authenticated and theirs.authenticated
        return self.key == other.key or (proven and (mine.local, mine.name) == (theirs.local, theirs.name))

    def traits(self) -> dict[str, JsonValue]:
        """What the audit log keeps beside the name."""
        found: dict[str, JsonValue] = {"address": self.caller.address}
        if self.caller.fingerprint is not None:
            found["fingerprint"] = self.caller.fingerprint
        return found


def _not_the_agent(name: str) -> str:
    person, slash, program = name.partition("/")
    if unicodedata.normalize("NFKC", person).strip().casefold() != AGENT:
        return name
    return f"{person} (client){slash}{program}"
