"""A form on the page. It holds texts; what they mean is decided by `plain_value` and the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.validation_element import ValidationElement

from ._fields import Field
from ._values import plain_value, shown_value

__all__ = ["ModelForm"]


class ModelForm:
    """Fields one below the other, inner models in groups that fold. Built in the present place.

    Args:
        fields: of the model.
        on_change: called after each change.
        values: plain values to begin with, in place of the defaults.
        suggestions: for text fields, by dotted name.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        on_change: Callable[[], object],
        values: Mapping[str, Any] | None = None,
        suggestions: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._on_change = on_change
        self._suggestions = suggestions or {}
        self._elements: dict[str, tuple[Field, ui.element]] = {}
        self._chosen: dict[str, tuple[Field, ui.select]] = {}
        self._used: dict[str, ui.switch] = {}
        with ui.element("div").classes("form"):
            for field in fields:
                self._build(field, None if values is None else values.get(field.path[-1]))
        self._fields = tuple(fields)

    @property
    def names(self) -> tuple[str, ...]:
        """Dotted names of the fields that are on the page."""
        return (*self._elements, *self._chosen)

    def values(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Plain values of what was filled in, and by dotted name what is no value at all."""
        given: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for field, typed in self._typed(self._fields):
            try:
                value = plain_value(field, typed)
            except ValueError as error:
                wrong[field.name] = str(error)
                continue
            if value is None and not field.nullable:
                continue
            place = given
            for name in field.path[:-1]:
                place = place.setdefault(name, {})
            place[field.path[-1]] = value
        for field, select in self._chosen.values():
            if select.value:
                place = given
                for name in field.path:
                    place = place.setdefault(name, {})
                place["kind"] = select.value
        return given, wrong

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Say at each field what is wrong with it; nothing at the others."""
        for name, (_, element) in self._elements.items():
            said = problems.get(name)
            if isinstance(element, ValidationElement):
                element.error = said

    def _typed(self, fields: Sequence[Field]) -> Iterator[tuple[Field, Any]]:
        for field in fields:
            if field.kind == "group":
                used = self._used.get(field.name)
                if used is None or used.value:
                    yield from self._typed(field.children)
            elif field.kind == "variants":
                _, select = self._chosen[field.name]
                yield from self._typed((field.variants or {}).get(str(select.value), ()))
            else:
                yield field, getattr(self._elements[field.name][1], "value", None)

    def _build(self, field: Field, value: Any) -> None:
        if field.kind == "group":
            self._build_group(field, value if isinstance(value, Mapping) else field.default)
        elif field.kind == "variants":
            self._build_variants(field, value if isinstance(value, Mapping) else field.default)
        else:
            self._build_simple(field, field.default if value is None else value)

    def _build_group(self, field: Field, value: Any) -> None:
        given = value if isinstance(value, Mapping) else {}
        open_first = len(field.path) == 1 and not field.nullable
        with ui.expansion(field.label, caption=field.help or None, value=open_first).classes("group"):
            used: ui.switch | None = None
            if field.nullable:
                used = ui.switch(f"Use {field.label.lower()}", value=isinstance(value, Mapping))
                used.mark(f"field-{field.name}").on_value_change(self._on_change)
                self._used[field.name] = used
            place = ui.element("div").classes("inner")
            if used is not None:
                place.bind_visibility_from(used, "value")
            with place:
                for child in field.children:
                    self._build(child, given.get(child.path[-1]))

    def _build_variants(self, field: Field, value: Any) -> None:
        given = value if isinstance(value, Mapping) else {}
        select = ui.select(list(field.choices), label=field.label, value=given.get("kind"))
        select.props("outlined dense options-dense").classes("field").mark(f"field-{field.name}")
        place = ui.element("div").classes("variant")
        self._chosen[field.name] = (field, select)

        def show(values: Mapping[str, Any]) -> None:
            for name in [name for name in self._elements if name.startswith(f"{field.name}.")]:
                del self._elements[name]
            place.clear()
            with place:
                for child in (field.variants or {}).get(str(select.value), ()):
                    self._build(child, values.get(child.path[-1]))

        def chosen() -> None:
            show({})
            self._on_change()

        show(given)
        select.on_value_change(chosen)

    def _build_simple(self, field: Field, value: Any) -> None:
        help_text = " · ".join(filter(None, (field.help, field.bounds, _optional(field))))
        element: ui.element
        shown = shown_value(field, value)
        if field.kind == "switch":
            with ui.element("div").classes("field switch"):
                element = ui.switch(field.label, value=shown, on_change=self._on_change)
                if help_text:
                    ui.label(help_text).classes("muted")
            self._keep(field, element)
            return
        if field.kind == "choice":
            element = ui.select(
                list(field.choices),
                label=field.label,
                value=shown or None,
                clearable=field.nullable,
                on_change=self._on_change,
            ).props("options-dense")
        elif field.kind == "list" and field.choices:
            element = ui.select(
                list(field.choices), label=field.label, value=shown, multiple=True, on_change=self._on_change
            ).props("options-dense use-chips")
        elif field.kind == "json" and len(shown) > 40:
            element = ui.textarea(field.label, value=shown, on_change=self._on_change).props("autogrow")
        else:
            element = ui.input(
                field.label,
                value=shown,
                on_change=self._on_change,
                autocomplete=list(self._suggestions.get(field.name, ())),
            )
        # Without reserved space the hint is as high as its text.
        element.props("outlined dense debounce=250 hide-bottom-space").classes("field")
        if help_text:
            element.props["hint"] = help_text
        if field.kind in ("json", "list"):
            element.classes("broad")
        self._keep(field, element)

    def _keep(self, field: Field, element: ui.element) -> None:
        self._elements[field.name] = (field, element.mark(f"field-{field.name}"))


def _optional(field: Field) -> str:
    return "may be left empty" if field.nullable else ""
