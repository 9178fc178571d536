"""Forms made from frozen parameter models: what a field may hold, what was typed, what is wrong with it."""

from __future__ import annotations

from ._fields import Field, fields_of
from ._form import ModelForm
from ._problems import problems_by_field
from ._quantities import parse_number, readable_number, split_unit
from ._values import plain_value, shown_value

__all__ = [
    "Field",
    "ModelForm",
    "fields_of",
    "parse_number",
    "plain_value",
    "problems_by_field",
    "readable_number",
    "shown_value",
    "split_unit",
]
