"""Who steers, for how long, and the buttons to change it."""

from __future__ import annotations

import time

from nicegui import ui

from eucentric_core import LeaseStatus, Role

from .._steward import may_displace
from .._watch import AgentStatus
from ._call import call, errors_shown
from ._roles import may, require_role
from ._tile import Tile
from ._visit import Visit

__all__ = ["LeasePart"]

_TIMEOUT_S = 20.0


class LeasePart:
    """The tile and its buttons. `refresh` twice a second.

    Args:
        visit: whose page it is.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._steward = visit.hub.steward
        self._lease: LeaseStatus | None = None
        self._tile = Tile("Steering", tip="who holds the control lease, and for how long without renewal")
        with ui.element("div").classes("lease-buttons"):
            self._request = self._button("Request", self._ask_for)
            self._release = self._button("Release", self._give_back)
            self._take = self._button("Take over…", self._confirm)

    def _button(self, text: str, on_click: object) -> ui.button:
        button = ui.button(text, on_click=on_click, color=None).props("no-caps dense outline")  # type: ignore[arg-type]
        button.set_visibility(False)
        return button

    def refresh(self, status: AgentStatus | None, *, read_s: float | None) -> None:
        """Show who steers at this moment, and what this person may do about it."""
        self._lease = lease = None if status is None else status.lease
        mine = self._mine()
        self._release.set_visibility(mine)
        if lease is None:
            self._request.set_visibility(False)
            self._take.set_visibility(False)
            self._tile.show(None)
            return
        free = lease.holder is None
        self._request.set_visibility(not mine and free and may(self._visit, Role.SCIENTIST))
        self._take.set_visibility(not mine and not free and self._may_take(lease))
        left_s = max(0.0, lease.remaining_s - (time.monotonic() - (read_s or time.monotonic())))
        if free:
            self._tile.show("nobody")
        else:
            wanted = f" · wanted by {', '.join(lease.wanted_by)}" if lease.wanted_by else ""
            who = "you" if mine else str(lease.holder)
            self._tile.show(f"{who} · {left_s:.0f} s{wanted}", "good" if mine else "")

    def _mine(self) -> bool:
        holder = self._steward.holder
        return holder is not None and holder.name == self._visit.person.name

    def _may_take(self, lease: LeaseStatus) -> bool:
        person, holder = self._visit.person, self._steward.holder
        if holder is not None:
            return person.role.rank > holder.role.rank
        return may_displace(person, lease)

    async def _ask_for(self) -> None:
        await self._take_lease("work at the dashboard", take_over=False)

    async def _take_lease(self, reason: str, *, take_over: bool) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            lease = self._lease
            await call(
                lambda: self._steward.request(person, reason, take_over=take_over, lease=lease),
                timeout_s=_TIMEOUT_S,
                doing="The request for the lease",
            )
            ui.notify("You steer. Close this page, and the instrument is made safe.", type="positive")

    async def _give_back(self) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            await call(lambda: self._steward.release(person), timeout_s=_TIMEOUT_S, doing="The release")
            ui.notify("Released. The instrument stays as it is.", type="positive")

    def _confirm(self) -> None:
        holder = self._lease.holder if self._lease is not None else "the holder"
        asked = f"Take the lease from {holder}?"
        with ui.dialog(value=True) as dialog, ui.card().classes("card dialog"):
            dialog.props["aria-label"] = asked
            ui.label(asked).classes("what")
            ui.label("The beam is blanked, the scan stopped and the stage halted first. They are told why.")
            reason = ui.input("Reason").props("outlined dense autofocus").classes("w-full")

            async def take() -> None:
                dialog.close()
                await self._take_lease(reason.value.strip() or "taken over at the dashboard", take_over=True)

            with ui.element("div").classes("line"):
                ui.button("Take over", on_click=take, color="negative").props("no-caps")
                ui.button("Leave it", on_click=dialog.close, color=None).props("no-caps flat")
