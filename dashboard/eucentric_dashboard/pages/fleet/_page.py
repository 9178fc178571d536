"""The fleet: one row per service, what it needs beside it, and this machine's own examination."""

from __future__ import annotations

from nicegui import ui

from eucentric_core import Role, utc_now

from ..._instruments import settings_by_instrument
from ...site import Visit, call, errors_shown, heading, may, require_role
from ...widgets import Cell, add_style, ago, chip, data_table, moment
from ._doctor import DoctorFinding, examine_this_machine
from ._look import Seen, Service, look, services_of, worries

__all__ = ["build_fleet"]

_PERIOD_S = 5.0
_DOCTOR_TIMEOUT_S = 70.0
_COLUMNS = ("", "Service", "Address", "Version", "State", "Heard of", "Disk left", "Clock", "Certificate")
_TONES = {"ok": "done", "warn": "waiting", "fail": "failed", "absent": ""}


def build_fleet(visit: Visit) -> None:
    """Build the page; it asks every service again by itself."""
    add_style()
    services = services_of(settings_by_instrument(visit.hub.whole))
    seen: dict[Service, Seen] = {}
    with ui.element("section").classes("card"):
        heading("Agents and edges")
        ui.label("Asked again every few seconds.").classes("muted")
        place = ui.element("div").style("width:100%; margin-top:10px").mark("fleet")
    with place:
        ui.label("Asking them.").classes("muted")

    async def refresh() -> None:
        with errors_shown(place):
            seen.update(await call(lambda: look(services, dict(seen)), timeout_s=20, doing="The round"))
            place.clear()
            with place:
                data_table("Agents and edges", _COLUMNS, [_row(seen[service]) for service in services])

    _build_doctor(visit)
    ui.timer(0.1, refresh, once=True)
    ui.timer(_PERIOD_S, refresh)


def _row(seen: Seen) -> tuple[Cell, ...]:
    service, about = seen.service, seen.about
    heard = "never" if seen.at_utc is None else ago(seen.at_utc)
    name, address = f"{service.kind} {service.name}", f"{service.host}:{service.port}"
    if about is None:
        return (lambda: _worries(seen), name, address, "—", "—", heard, "—", "—", "—")
    return (
        lambda: _worries(seen),
        name,
        address,
        about.version,
        about.state,
        heard,
        f"{about.free_bytes / 1e9:,.0f} of {about.disk_bytes / 1e9:,.0f} GB",
        "—" if seen.clock_offset_s is None else f"{seen.clock_offset_s:+.2f} s",
        "no TLS" if about.certificate_until is None else f"until {about.certificate_until:%Y-%m-%d}",
    )


def _worries(seen: Seen) -> None:
    found = worries(seen, now_utc=utc_now())
    if not found:
        chip("well", "done")
    for tone, words in found:
        chip(words, tone, tip="" if seen.error is None else str(seen.error))


def _build_doctor(visit: Visit) -> None:
    with ui.element("section").classes("card"):
        with ui.element("div").classes("line spread"):
            heading("This machine")
            button = ui.button("Examine", icon="fact_check").props("no-caps dense")
        ui.label(
            "What `eucentric doctor` says of the machine of the dashboard. "
            "On another one, run it there: it looks at disks, ports and tools."
        ).classes("muted")
        place = ui.element("div").style("width:100%; margin-top:10px").mark("doctor")
    button.set_enabled(may(visit, Role.OPERATOR))
    if not may(visit, Role.OPERATOR):
        button.tooltip("needs the role operator")

    async def examine() -> None:
        with errors_shown(place):
            require_role(visit, Role.OPERATOR)
            place.clear()
            with place:
                ui.spinner(size="24px")
            findings = await call(
                lambda: examine_this_machine(visit.hub.whole),
                timeout_s=_DOCTOR_TIMEOUT_S,
                doing="The examination",
            )
            place.clear()
            with place:
                _show_findings(findings)

    button.on_click(examine)


def _show_findings(findings: tuple[DoctorFinding, ...]) -> None:
    rows: list[tuple[Cell, ...]] = [
        (
            lambda one=one: chip(one.status, _TONES.get(one.status, "")),  # type: ignore[misc, arg-type]
            one.name,
            one.detail,
            one.fix,
        )
        for one in findings
    ]
    data_table("Examination of this machine", ("Result", "Check", "Found", "To do"), rows)
    ui.label(f"examined {moment(utc_now())} UTC").classes("muted")
