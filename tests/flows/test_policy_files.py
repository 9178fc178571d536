"""Old policy files are read for ever; a broken one is refused with line, reason and nearest word."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eucentric_flows._policy_references import check_policy
from eucentric_flows.policy import PolicyError, load_policy, parse_policy
from eucentric_flows.policy._positions import KeyPath, places

GOLDEN = Path(__file__).with_name("golden_policies")

GOOD = """
schema_version = 2
name = "on-drift"
model = "atoms"

[trigger]
kind = "drift"
min_score = 1.5

[guards]
cooldown_s = 900

[action]
kind = "retrain"
recipe = "elit"
"""


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.toml")), ids=lambda path: path.stem)
def test_policies_of_every_schema_version_are_read_as_they_were(path: Path) -> None:
    # What has been added since has a default; all that was there means what it meant.
    written_down = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert missing(written_down, load_policy(path).model_dump(mode="json")) == []


def missing(expected: Any, found: Any, where: str = "policy") -> list[str]:
    """What of a document is not in another one."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            gap for key, value in expected.items() for gap in missing(value, found.get(key), f"{where}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [gap for place, (old, new) in pairs for gap in missing(old, new, f"{where}[{place}]")]
    return [] if expected == found else [f"{where}: {expected!r}, not {found!r}"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'kind = "drift"',
            'kind = "drft"',
            "line 7, column 8, trigger.kind: is no known kind; did you mean drift?",
        ),
        (
            "min_score",
            "min_scor",
            "line 8, column 1, trigger.min_scor: is no known key; did you mean min_score?",
        ),
        ("1.5", "-1", "line 8, column 13, trigger.min_score: input should be greater than or equal to 0"),
        ("[guards]", "[gaurds]", "line 10, column 2, gaurds: is no known key; did you mean guards?"),
        (
            'model = "atoms"',
            'modle = "atoms"',
            "line 4, column 1, modle: is no known key; did you mean model?",
        ),
        ('name = "on-drift"\n', "", "line 1, column 1, name: is missing"),
        ('model = "atoms"', "model = 3", "line 4, column 9, model: input should be a valid string"),
        ('"drift"', "drift", 'line 7, column 8: not valid TOML: invalid value; did you mean "drift"?'),
        (
            'name = "on-drift"',
            "enabled = True",
            "line 3, column 11: not valid TOML: invalid value; did you mean true?",
        ),
        (
            "[guards]",
            "[guards",
            "line 10, column 8: not valid TOML: expected ']' at the end of a table declaration",
        ),
        (
            "schema_version = 2",
            "schema_version = 7",
            "line 2, column 18, schema_version: this version of Eucentric",
        ),
        (
            '"elit"',
            '"elitt"',
            "line 15, column 10, action.recipe: no recipe 'elitt' is installed on this machine",
        ),
        (
            'recipe = "elit"',
            "parameters = { stepz = 3 }",
            "line 15, column 24, action.parameters.stepz: is no parameter of recipe elit",
        ),
        (
            'kind = "drift"\nmin_score = 1.5',
            'kind = "schedule"\ncron = "61 * * * *"',
            "line 8, column 8, trigger.cron: '61 * * * *' is no cron expression (Bad minute)",
        ),
        (
            'kind = "drift"\nmin_score = 1.5',
            'kind = "schedule"\ncron = "0 2 * * *"\ntime_zone = "Europe/Berln"',
            "line 9, column 13, trigger.time_zone: Europe/Berln is no time zone; did you mean Europe/Berlin?",
        ),
        (
            'kind = "drift"\nmin_score = 1.5',
            'kind = "any"\nof = [{ kind = "manual" }, { kind = "flow", flow = "retrian" }]',
            "line 8, column 52, trigger.of[1].flow: no flow 'retrian' is registered; did you mean retrain?",
        ),
        (
            'kind = "retrain"\nrecipe = "elit"',
            'kind = "promote"\nparameters = { version = 0 }',
            "line 15, column 26, action.parameters.version: input should be greater than or equal to 1",
        ),
        (
            'kind = "retrain"\nrecipe = "elit"',
            'kind = "run"\nflow = "montag"',
            "line 15, column 8, action.flow: no flow 'montag' is registered; did you mean montage?",
        ),
        (
            "cooldown_s = 900",
            "max_node_hours_per_day = 0.5",
            "line 11, column 26, guards.max_node_hours_per_day: 0.5 is less than one run may use",
        ),
        (
            "cooldown_s = 900",
            'quiet_hours = { begin = "22:00", end = "6:00" }',
            "line 11, column 40, guards.quiet_hours.end: '6:00' is no time of day: write it as HH:MM",
        ),
        (
            "[guards]",
            '[[conditions]]\nkind = "event"\nfield = "drift_scor"\nat_least = 1\n[guards]',
            "line 12, column 9, conditions[0].field: no event has a field drift_scor; did you mean",
        ),
    ],
)
def test_a_broken_file_is_refused_with_line_reason_and_nearest_word(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    path = tmp_path / "bad.toml"
    assert before in GOOD
    path.write_text(GOOD.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        check_policy(path)
    assert caught.value.what.startswith(f"Policy file {path}, {told}")
    assert "\n" not in caught.value.what


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(
            GOOD.replace("min_score = 1.5", "min_scor = 1\nfor_s = -1").replace("cooldown_s", "coldown_s"),
            "x",
        )
    assert [(problem.line, problem.nearest) for problem in caught.value.problems] == [
        (8, "min_score"),
        (9, None),
        (12, "cooldown_s"),
    ]
    assert caught.value.what.endswith("(2 more).")


def test_a_file_that_is_no_text_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b'name = "a"\nmodel = "\xff"\n')
    with pytest.raises(PolicyError, match="line 2, column 10: the text is not UTF-8"):
        load_policy(path)


_KEYS = st.text("abcdefghijklmnopqrstuvwxyz_-.\" 'é", min_size=1, max_size=6)
_PLAIN = st.one_of(
    st.booleans(), st.integers(-1000, 1000), st.floats(-1e3, 1e3), st.text("ab\"'#\\\n[]{}=,.é", max_size=12)
)
_VALUES = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


def paths(document: Any, path: KeyPath = ()) -> list[KeyPath]:
    found = [] if not path else [path]
    if isinstance(document, dict):
        items: Any = document.items()
    else:
        items = enumerate(document) if isinstance(document, list) else ()
    for key, value in items:
        found += paths(value, (*path, key))
    return found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_every_key_of_every_document_has_its_place(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    read = tomllib.loads(text)
    found = places(text)
    assert set(found) >= set(paths(read))
    lines = text.split("\n")
    for path, place in found.items():
        line, column = place.key
        assert 1 <= line <= len(lines)
        if isinstance(path[-1], str) and path[-1].isascii() and path[-1].replace("_", "").isalpha():
            # A key begins where it is said to, or further left if it is dotted.
            assert path[-1] in lines[line - 1][column - 1 :]
