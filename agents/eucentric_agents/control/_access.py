"""Who may do what: one table, and the decision made from it before anything else is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from eucentric_core import Caller, NotAuthorisedError, Role
from eucentric_core.vocabulary import Command, CommandClass

from ._identity import Identity

__all__ = ["NEEDED_FOR_CLASS", "NEEDED_FOR_METHOD", "authorise", "may_take_over", "needed_role"]

NEEDED_FOR_METHOD: Mapping[str, Role] = MappingProxyType(
    {
        "ping": Role.VIEWER,
        "about": Role.VIEWER,
        "audit.read": Role.VIEWER,
        "describe": Role.VIEWER,
        "data.open": Role.VIEWER,
        "data.status": Role.VIEWER,
        "execute": Role.VIEWER,
        "safe_stop": Role.VIEWER,
        "lease.status": Role.VIEWER,
        "lease.request": Role.SCIENTIST,
        "lease.renew": Role.SCIENTIST,
        "lease.present": Role.SCIENTIST,
        "lease.release": Role.SCIENTIST,
        "lease.hand_over": Role.SCIENTIST,
        "shipping.status": Role.VIEWER,
        "shipping.retry": Role.OPERATOR,
        "flight_check.start": Role.OPERATOR,
        "flight_check.status": Role.VIEWER,
        "interlocks.show": Role.VIEWER,
        "interlocks.tighten": Role.SCIENTIST,
    }
)
"""The least role for each method. `execute` goes on to ask by the class of its command."""

NEEDED_FOR_CLASS: Mapping[CommandClass, Role] = MappingProxyType(
    {"observe": Role.VIEWER, "steer": Role.SCIENTIST, "hazard": Role.OPERATOR}
)
"""The least role for each class of commands."""


def needed_role(method: str, command: type[Command] | None = None) -> Role:
    """The least role that may call a method, or give a command through `execute`.

    What makes the instrument safer (an urgent command) is for everyone who may see it.
    """
    if command is None:
        return NEEDED_FOR_METHOD[method]
    return Role.VIEWER if command.urgent else NEEDED_FOR_CLASS[command.command_class]


def authorise(caller: Caller, method: str, command: type[Command] | None = None) -> None:
    """Pass only who may.

    Raises:
        NotAuthorisedError: the caller's role is too low.
    """
    needed = needed_role(method, command)
    if not caller.role.covers(needed):
        what = method if command is None else str(command.model_fields["verb"].default)
        raise NotAuthorisedError(
            f"{what} needs the role {needed}; {caller.name} has the role {caller.role}.",
            safe="nothing was changed; observing and safe stop are for everyone.",
            next_step=f"ask for a certificate with the role {needed} (`eucentric certs issue`), "
            "or somebody who has one.",
            needed_role=needed.value,
            role=caller.role.value,
        )


def may_take_over(taker: Identity, holder: Identity) -> bool:
    """Whether one may take the lease from another against their will.

    Whoever stands at the instrument may take it from anybody, and nobody far away takes it from them.
    """
    if taker.local:
        return True
    return not holder.local and taker.role.rank > holder.role.rank
