"""A value out of bounds is refused in one sentence that names the unit somebody probably meant."""

from __future__ import annotations

import pytest

from eucentric_core import CommandRefusedError, InstrumentVerbs
from eucentric_core.vocabulary import Command, CommandResult, Done


class Recording(InstrumentVerbs):
    """Verbs whose commands go nowhere."""

    def __init__(self) -> None:
        self.sent: list[Command] = []

    def execute(self, command: Command) -> CommandResult:
        self.sent.append(command)
        return Done()


@pytest.mark.parametrize(
    ("verb", "value", "said"),
    [
        (lambda scope, value: scope.move_stage(x_m=value), 50, "x_m = 50 looks like micrometres"),
        (lambda scope, value: scope.move_stage(z_m=value), 2e5, "z_m = 200000 looks like nanometres"),
        (lambda scope, value: scope.tilt_stage(alpha_rad=value), 30.0, "alpha_rad = 30 looks like degrees"),
        (lambda scope, value: scope.unblank(max_duration_s=value), -1.0, "max_duration_s: input should be"),
        (
            lambda scope, value: scope.move_stage(y_m=value),
            float("nan"),
            "y_m: input should be a finite number",
        ),
        (lambda scope, value: scope.move_stage(x_m=value), "1 um", "x_m: input should be a valid number"),
        (lambda scope, value: scope.start_session(value), "a/b", "session: string should match"),
    ],
)
def test_a_person_is_told_in_one_sentence(verb: object, value: object, said: str) -> None:
    scope = Recording()
    with pytest.raises(CommandRefusedError, match=said) as refused:
        verb(scope, value)  # type: ignore[operator]
    assert "\n" not in str(refused.value)
    assert refused.value.safe == "nothing was sent."
    assert scope.sent == []
