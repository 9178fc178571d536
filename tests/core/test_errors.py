"""An error says what happened, what is safe and what to do, and stays itself on every way it takes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import eucentric_core
from eucentric_core import ConfigurationError, ErrorReport, EucentricError, RemoteError, error_from_report


def kinds(base: type[EucentricError] = EucentricError) -> Iterator[type[EucentricError]]:
    """Every error class of the ground floor."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("eucentric_core"):
            yield kind
            yield from kinds(kind)


def refuse() -> None:
    raise ConfigurationError("No port.", safe="all of it.", next_step="take another.", port=3)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_kind_survives_the_wire(kind: type[EucentricError]) -> None:
    error = kind("Wrong.", safe="yes.", next_step="repair.", number=1, texts=["a"])
    again = error_from_report(ErrorReport.model_validate_json(error.report().model_dump_json()))
    assert type(again) is kind
    assert again.report() == error.report()


def test_no_two_kinds_share_a_code_and_all_are_public() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes)
    assert {kind.__name__ for kind in kinds()} <= set(eucentric_core.__all__)


def test_an_unknown_code_is_kept_however_often_it_is_passed_on() -> None:
    report = ErrorReport(code="quench", what="Quench.", safe="helium.", next_step="leave.", details={"k": 4})
    first = error_from_report(report)
    second = error_from_report(first.report())
    assert type(second) is RemoteError
    assert second.details == {"k": 4, "remote_code": "quench"}


@pytest.mark.parametrize("name", ["what", "safe", "next_step", "self", "code", "details", "a b"])
def test_a_detail_may_have_any_name(name: str) -> None:
    report = ErrorReport(code="busy", what="w", safe="s", next_step="n", details={name: "x"})
    assert error_from_report(report).report() == report


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_details_pass_unchanged(details: dict[str, object]) -> None:
    report = ErrorReport.model_validate(
        {"code": "integrity", "what": "w", "safe": "s", "next_step": "n", "details": details}
    )
    assert error_from_report(report).report() == report


def test_an_error_is_one_readable_sentence_after_another() -> None:
    with pytest.raises(ConfigurationError, match=r"^No port\. Safe: all of it\. Next: take another\.$"):
        refuse()


def test_an_error_can_be_copied() -> None:
    error = ConfigurationError("a", safe="b", next_step="c", d=1)
    assert copy.copy(error).report() == error.report()


def test_an_error_crosses_a_process_pool_as_itself() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(ConfigurationError) as caught:
            pool.submit(eucentric_core.load_settings, environment={"EUCENTRIC__AGNET__HOST": "x"}).result(60)
        assert "EUCENTRIC__AGNET__HOST" in caught.value.what


def test_a_report_takes_no_unknown_field() -> None:
    with pytest.raises(ValidationError):
        ErrorReport.model_validate({"code": "a", "what": "b", "safe": "c", "next_step": "d", "stack": "e"})
