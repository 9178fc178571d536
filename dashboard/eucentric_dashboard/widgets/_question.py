"""A question before something is done, with a reason where one is wanted."""

from __future__ import annotations

from nicegui import ui

__all__ = ["ask"]

_LONGEST = 500


async def ask(
    title: str, consequence: str, *, do: str, reason: str | None = None, dangerous: bool = False
) -> str | None:
    """Ask a person whether they mean it.

    Args:
        title: what is about to be done, as a question.
        consequence: what that does, and what it does not touch.
        do: on the button that does it.
        reason: what the field for a reason is called; without one, none is asked for.
        dangerous: the button that does it is red.

    Returns:
        The reason, or an empty text where none was asked for; None if the person thought better of it.
    """
    with ui.dialog().props("persistent") as dialog, ui.card().classes("question"):
        dialog.props["aria-label"] = title
        ui.label(title).classes("asked").props("role=heading aria-level=2")
        ui.label(consequence).classes("muted")
        field: ui.input | None = None
        if reason is not None:
            field = ui.input(reason).props(f"autofocus outlined dense maxlength={_LONGEST}")
            field.style("width:100%").mark("reason")
        with ui.element("div").classes("line answers"):
            ui.button("Leave it", on_click=lambda: dialog.submit(None)).props("flat no-caps").mark("leave")

            def said() -> None:
                words = "" if field is None else (field.value or "").strip()
                if field is not None and not words:
                    field.error = "Say why: it stays in the history."
                    return
                dialog.submit(words)

            button = ui.button(do, on_click=said).props("no-caps unelevated").mark("do")
            if dangerous:
                button.props("color=negative")
            if field is not None:
                field.on("keydown.enter", said)
    dialog.open()
    answer = await dialog
    dialog.delete()
    return None if answer is None else str(answer)
