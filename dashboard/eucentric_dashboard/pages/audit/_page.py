"""The audit page: search, details, export, and whether the chain of records holds."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

from nicegui import ui

from ...site import Visit, call, empty_panel, errors_shown, heading
from ...widgets import Cell, Tone, add_style, chip, data_table, moment
from ._log import AuditAnswer, AuditEntry, matching, read_log

__all__ = ["build_audit"]

_SHOWN = 200
_TONES: dict[str, Tone] = {"done": "done", "begun": "active", "refused": "waiting", "failed": "failed"}


def build_audit(visit: Visit) -> None:
    """Build the page."""
    add_style()
    with ui.element("section").classes("card"):
        with ui.element("div").classes("line spread"):
            heading("Audit log")
            chain = ui.element("div").mark("chain")
        with ui.element("div").classes("line").style("margin:10px 0"):
            who, action, words = (
                ui.input(label).props("outlined dense clearable debounce=400").style("width:180px")
                for label in ("Who", "Action", "Anywhere in it")
            )
            again = ui.button("Read again", icon="refresh").props("no-caps dense flat")
            for kind in ("csv", "jsonl"):
                ui.button(kind, icon="download", on_click=lambda kind=kind: export(kind)).props(
                    "no-caps dense flat"
                )
        place = ui.element("div").style("width:100%").mark("audit")

    async def show() -> None:
        with errors_shown(place):
            answer = await call(
                lambda: read_log(
                    visit.settings, who=who.value or "", action=action.value or "", limit=_SHOWN
                ),
                doing="Reading the audit log",
            )
            chain.clear()
            with chain:
                _show_chain(answer)
            place.clear()
            with place:
                _show_records(matching(answer.records, words.value or ""))

    def export(kind: str) -> None:
        asked = urlencode({"who": who.value or "", "action": action.value or "", "words": words.value or ""})
        ui.navigate.to(f"/audit/{quote(visit.settings.agent.name)}.{kind}?{asked}")

    again.on_click(show)
    for field in (who, action, words):
        field.on_value_change(show)
    ui.timer(0.1, show, once=True)


def _show_chain(answer: AuditAnswer) -> None:
    if answer.broken is not None:
        chip(f"THE CHAIN IS BROKEN: {answer.broken}", "failed")
    elif answer.checked < answer.written:
        chip(f"chain checked up to record {answer.checked:,} of {answer.written:,}; read again", "waiting")
    else:
        chip(f"chain holds · {answer.checked:,} records", "done", tip=f"head {answer.head}")


def _show_records(records: tuple[AuditEntry, ...]) -> None:
    if not records:
        empty_panel("No record matches.", "Search for less, or do something at the instrument.")
        return
    rows: list[tuple[Cell, ...]] = [
        (
            moment(one.at_utc),
            one.who,
            "" if one.role is None else one.role.value,
            one.action,
            lambda one=one: chip(one.outcome, _TONES.get(one.outcome, "")),  # type: ignore[misc]
            one.error.what if one.error is not None else _short(one),
            lambda one=one: _details(one),  # type: ignore[misc]
        )
        for one in records
    ]
    data_table("Audit log", ("When (UTC)", "Who", "Role", "Action", "Outcome", "What", ""), rows)


def _short(one: AuditEntry) -> str:
    text = ", ".join(f"{name} {value}" for name, value in one.details.items() if value not in (None, "", {}))
    return text if len(text) <= 120 else f"{text[:117]}…"


def _details(one: AuditEntry) -> None:
    def open_it() -> None:
        with ui.dialog(value=True), ui.card().classes("card").style("max-width:900px; width:90vw"):
            heading(f"Record {one.index}: {one.action} by {one.who}")
            text = json.dumps(one.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False)
            ui.code(text, language="json").classes("w-full")

    ui.button(icon="unfold_more", on_click=open_it, color=None).props(
        f"flat dense size=sm aria-label='details of record {one.index}'"
    )
