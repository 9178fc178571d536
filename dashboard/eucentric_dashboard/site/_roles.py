"""Who may do what on a page; asked on the server at each action, whatever a button looked like."""

from __future__ import annotations

from eucentric_core import NotAuthorisedError, Role

from ._visit import Person, Visit

__all__ = ["may", "require_role"]


def may(visit: Visit, least: Role) -> bool:
    """Whether the person had the role when the page was opened: for how a button looks, never instead of
    `require_role`.
    """
    return visit.person.role.covers(least)


def require_role(visit: Visit, least: Role) -> Person:
    """The person, if their role covers `least` at this moment.

    Raises:
        NotAuthorisedError: it does not, or their session has ended.
    """
    person = visit.person_now()
    if not person.role.covers(least):
        raise NotAuthorisedError(
            f"This needs the role {least}; {person.name} has the role {person.role}.",
            safe="nothing was changed.",
            next_step=f"ask somebody who is {least}, or an administrator for the role.",
            needed=least.value,
            role=person.role.value,
        )
    return person
