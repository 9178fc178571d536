"""What a model refuses, said at the field where it is mended. Pure."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import ValidationError

from eucentric_core import lower_first, unit_hint

__all__ = ["problems_by_field"]


def problems_by_field(error: ValidationError, names: Collection[str]) -> dict[str, str]:
    """Each problem by the dotted name of its field; under an empty name what is about no single field.

    Args:
        error: of the model.
        names: of the fields there are. A problem inside of a field without inner fields is the field's.
    """
    found: dict[str, str] = {}
    for problem in error.errors():
        # Parts that pydantic adds (the kind of a union, an index) are no fields.
        name = ""
        for part in problem["loc"]:
            deeper = f"{name}.{part}" if name else str(part)
            if deeper in names or any(known.startswith(f"{deeper}.") for known in names):
                name = deeper
        context, given = problem.get("ctx", {}), problem.get("input")
        bound = context.get("le", context.get("ge", context.get("lt", context.get("gt"))))
        hint = None
        if isinstance(given, int | float) and isinstance(bound, int | float) and problem["loc"]:
            hint = unit_hint(str(problem["loc"][-1]), float(given), -abs(float(bound)), abs(float(bound)))
        said = hint or ("is needed" if problem["type"] == "missing" else lower_first(str(problem["msg"])))
        found.setdefault(name, said.removeprefix("value error, "))
    return found
