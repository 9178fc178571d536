"""`kill -9` of a service of the data path at every labelled step, and at random ones.

A data process records ten acquisitions of two streams in shards of four and ships them; a repository service
registers them. One of the two is killed, both run again, the session is ended. What was acknowledged before
the kill is in the catalogue exactly once, in order, with its content; nothing is left half done anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest

from ...servers.s3_store import store_client, write_credentials
from ...servers.swift import is_installed
from .chain import Chain, ForkServer, Service, wait_until

ACQUISITIONS = 10
AT_ONCE = 5
NIGHTLY_CASES = 720
RANDOM_CASES = 6
Far = Literal["posix", "s3"]
Who = Literal["recorder", "repository"]

JOURNAL = ("opened", "frame.written", "chunks.durable", "records.written", "durable")
SEAL = ("begun", "closed", "announced", "renamed", "recorded", "done")
SHIPPING = (
    *("ship.begun", "ship.delivered", "ship.documented", "ship.noted"),
    *("receipt.found", "receipt.stored", "delete.removed", "delete.noted"),
)
RECORDER = (
    *(f"journal.{step}" for step in JOURNAL),
    *(f"seal.{step}" for step in SEAL),
    *("session.closing", "session.closed"),
    *SHIPPING,
)
REPOSITORY = (
    *(f"register.{step}" for step in ("verified", "moved", "entered", "receipted", "noted", "done")),
    "dataset.entered",
)
INBOX = ("inbox.fetched", "inbox.announced", "inbox.receipted", "inbox.removed")
PARTS = ("journal", "seal", "ship", "register")
LARGEST_STEP = {"journal": 2000, "seal": 500, "ship": 900, "register": 500}


@dataclass(frozen=True)
class Case:
    """Who is killed where, and what kind of far end lies between the two."""

    far: Far
    who: Who
    kill: tuple[tuple[str, str | int], ...]

    def __str__(self) -> str:
        return f"{self.far} {self.who} " + " ".join(str(value) for _, value in self.kill)


def labelled(far: Far, who: Who, step: str, occurrence: int = 1) -> Case:
    """Killed when the code says that it is at this step."""
    return Case(far, who, (("label", step), ("occurrence", occurrence)))


def anywhere(chance: np.random.Generator) -> Case:
    """Killed at any step of the interpreter inside one part of the code."""
    part = str(chance.choice(PARTS))
    who: Who = "repository" if part == "register" else "recorder"
    far: Far = "s3" if chance.random() < 0.3 else "posix"
    return Case(far, who, (("part", part), ("step", int(chance.integers(1, LARGEST_STEP[part])))))


def cases(nightly: bool) -> list[Case]:
    """What is killed where."""
    chosen = [labelled("posix", "recorder", step) for step in RECORDER]
    chosen += [labelled("posix", "repository", step) for step in REPOSITORY]
    chosen += [labelled("s3", "recorder", step) for step in SHIPPING]
    chosen += [labelled("s3", "repository", step) for step in INBOX]
    chance = np.random.default_rng(2611)
    if nightly:
        chosen += [labelled("posix", "recorder", step, n) for n in (2, 3) for step in RECORDER[:11]]
        chosen += [labelled("s3", "recorder", step, n) for n in (2, 3) for step in SHIPPING]
    wanted = NIGHTLY_CASES if nightly else len(chosen) + RANDOM_CASES
    while len(chosen) < wanted:
        case = anywhere(chance)
        chosen += [] if case in chosen else [case]
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", cases(metafunc.config.getoption("--nightly")), ids=str)


def finish(chain: Chain, recorder: Service, repository: Service) -> None:
    """Run again what has died, end the session, and wait until everything has arrived."""
    if recorder.ended:
        recorder = chain.start_recorder()
    if repository.ended:
        repository = chain.start_repository()
    with chain.publishing() as publish:
        wait_until(lambda: chain.stop_session(publish, ACQUISITIONS), "the session ends")
        wait_until(lambda: chain.is_finished() or recorder.ended or repository.ended, "everything arrives")
    assert chain.is_finished(), f"a service died by itself: {recorder.log} {repository.log}"
    for service in (recorder, repository):
        service.stop()
        assert service.status == 0, service.log.read_text()


def killed_and_finished(chain: Chain, case: Case) -> bool:
    """Whether the kill was reached; fails when anything was lost, doubled or left."""
    kill: dict[str, Any] = dict(case.kill)
    with chain:
        repository = chain.start_repository(kill if case.who == "repository" else None)
        recorder = chain.start_recorder(kill if case.who == "recorder" else None)

        def over() -> bool:
            return recorder.ended or repository.ended

        with chain.publishing() as publish:
            wait_until(lambda: over() or chain.start_session(publish), "the session starts")
            chain.record(publish, range(ACQUISITIONS), until=over)
            wait_until(lambda: over() or chain.stop_session(publish, ACQUISITIONS), "the session ends")
            wait_until(lambda: over() or chain.is_finished(), "everything arrives or a service dies")
        acknowledged = chain.acknowledged()
        reached = recorder.was_killed or repository.was_killed
        assert reached or not over(), f"a service died by itself: {recorder.log} {repository.log}"
        finish(chain, recorder, repository)
        chain.require_exactly_once(acknowledged)
        assert chain.leftovers() == []
    return reached


def sections(far: Far, request: pytest.FixtureRequest, folder: Path) -> dict[str, dict[str, Any]]:
    """Settings that lead from the instrument to the repository over this kind of far end."""
    if far == "posix":
        return {}
    store = request.getfixturevalue("swift")
    store_client(store).create_bucket(Bucket=(bucket := folder.name.replace("_", "-").lower()))
    address = f"s3://{bucket}/lab"
    credentials = write_credentials(folder / "credentials")
    return {
        "agent": {"ship_to": address},
        "repository": {"inbox": address},
        "s3": {"endpoint": store.url, "credentials": str(credentials)},
    }


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, forks: ForkServer
) -> Iterator[dict[Case, Future[bool]]]:
    """What becomes of each case that is asked for, several at a time."""
    wanted: list[Case] = [
        cast("Case", item.callspec.params["case"])
        for item in request.session.items
        if item.path == request.path and isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(AT_ONCE) as several:
        started: dict[Case, Future[bool]] = {}
        for case in wanted:
            if case.far == "s3" and not is_installed():
                continue
            folder = tmp_path_factory.mktemp(f"killed-{case.far}-")
            chain = Chain(folder, forks, sections(case.far, request, folder))
            started[case] = several.submit(killed_and_finished, chain, case)
        yield started
        for outcome in started.values():
            outcome.cancel()


def test_a_kill_loses_and_doubles_nothing(outcomes: dict[Case, Future[bool]], case: Case) -> None:
    if case not in outcomes:
        pytest.skip("needs Debian's swift packages")
    reached = outcomes[case].result()
    if "label" in dict(case.kill):
        assert reached, "the step was never reached"
