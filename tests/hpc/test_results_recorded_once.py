"""One result per task, however often it is run."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from eucentric_core import IntegrityError
from eucentric_hpc import recorded_result, stop_requests, submit_once

_together = Barrier(2, timeout=60)


def count_task(log: str, value: int) -> dict[str, Any]:
    with Path(log).open("a") as stream:
        stream.write("run\n")
    return {"value": value, "run": len(Path(log).read_text().splitlines())}


def together_task(log: str) -> dict[str, Any]:
    _together.wait()
    return count_task(log, 1)


def failing_task(log: str) -> dict[str, Any]:
    count_task(log, 1)
    raise ZeroDivisionError


def newest_task() -> dict[str, Any]:
    _together.wait()
    with stop_requests() as stop:
        return {"may_write": stop.may_write()}


class NoExecutor(Executor):
    """Takes no task."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("nothing was to be run")


def test_a_recorded_result_is_given_without_running_anything(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with ThreadPoolExecutor(1) as threads:
        first = submit_once(threads, tmp_path, "count", count_task, log, 7).result()
    assert first == {"value": 7, "run": 1}
    assert submit_once(NoExecutor(), tmp_path, "count", count_task, log, 7).result() == first
    assert recorded_result(tmp_path, "count", count_task, log, 7) == first


def test_other_arguments_are_another_task(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with ThreadPoolExecutor(1) as threads:
        values = [
            submit_once(threads, tmp_path, "count", count_task, log, value).result()["run"]
            for value in (1, 2, 1)
        ]
    assert values == [1, 2, 1]


def test_two_attempts_at_once_give_one_result(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with ThreadPoolExecutor(2) as threads:
        futures = [submit_once(threads, tmp_path, "both", together_task, log) for _ in range(2)]
        results = [future.result() for future in futures]
    assert results[0] == results[1]
    assert len(list(tmp_path.glob("*.result.json"))) == 1
    assert not list(tmp_path.glob(".*"))


def test_only_the_newest_attempt_may_write(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        futures = [submit_once(threads, tmp_path, "newest", newest_task) for _ in range(2)]
        # Whichever records first is the one that counts, for both.
        assert len({future.result()["may_write"] for future in futures}) == 1


def test_a_failure_is_not_recorded(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                submit_once(threads, tmp_path, "failing", failing_task, log).result()
    assert Path(log).read_text() == "run\nrun\n"


def test_a_damaged_record_is_refused_and_kept(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    with ThreadPoolExecutor(1) as threads:
        submit_once(threads, tmp_path, "count", count_task, log, 7).result()
    (record,) = tmp_path.glob("*.result.json")
    record.write_text('{"value": ')
    with pytest.raises(IntegrityError, match="is damaged"):
        submit_once(NoExecutor(), tmp_path, "count", count_task, log, 7)
    assert record.read_text() == '{"value": '
