"""A name from outside can become a file name, on every system, and nothing else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from eucentric_core import Identifier

ADAPTER: TypeAdapter[str] = TypeAdapter(Identifier)


@pytest.mark.parametrize("name", ["a", "MoS2_2026-11-20.b", "0", "x" * 100, "console", "com10"])
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    assert ADAPTER.validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "..\\x", "/etc", "a/b", "a\\b", "C:", "C:\\x", "\\\\host\\share", "~"),
        *(
            "a\n",
            "\na",
            "a\0",
            "a b",
            " a",
            "a%2e%2e",
            "a#b",
            "a?b",
            "ä",
            "․․",
            "x" * 101,
            "-rf",
            "_x",
            ".hidden",
        ),
        *("CON", "con.txt", "nul", "NUL.h5", "Aux", "prn.", "COM1", "lpt9.tar.gz", "com0", "name.", "a.."),
    ],
    ids=repr,
)
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(name)


@given(st.text(max_size=120))
def test_no_accepted_name_leaves_its_folder(name: str) -> None:
    try:
        accepted = ADAPTER.validate_python(name)
    except ValidationError:
        return
    root = Path("/srv/shards").resolve()
    assert (root / accepted).resolve().parent == root
    assert PurePosixPath(accepted).name == PureWindowsPath(accepted).name == accepted
