"""`kill -9` of a service of the data path at every labelled step, and at random ones.

A data process records ten acquisitions of two streams in shards of four and ships them; a repository service
registers them. One of the two is killed, both run again, the session is ended. What was acknowledged before
the kill is in the catalogue exactly once, in order, with its content; nothing is left half done anywhere.
Between the two lies a folder, an S3 store (Swift), or Globus (the real client library, an emulated service).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest

from eucentric_agents.recording import STEPS as RECORDER_STEPS
from eucentric_data_repository._steps import STEPS as REPOSITORY_STEPS

from ...frames import frame_around
from ...servers.globus import Collection, GlobusEmulator
from ...servers.globus_service import register_service
from ...servers.s3_store import store_client, write_credentials
from ...servers.swift import is_installed
from .chain import STREAMS, Chain, ForkServer, Publish, Service, wait_until

ACQUISITIONS = 10
POISONED_AFTER = 5
POISON = frame_around(np.full((8, 8), np.nan, np.float32), POISONED_AFTER, "counts")
AT_ONCE = 5
NIGHTLY_CASES = 720
RANDOM_CASES = 6
Far = Literal["posix", "s3", "globus"]
Who = Literal["recorder", "repository"]

JOURNAL = ("opened", "frame.written", "chunks.durable", "records.written", "durable")
SEAL = ("begun", "closed", "vouched", "announced", "linked", "renamed", "recorded", "done")
OF_A_SHARD = ("ship.noted", "receipt.found", "receipt.stored", "delete.removed", "delete.noted")
SHIPPING = ("ship.begun", "ship.delivered", "ship.documented", *OF_A_SHARD)
RECORDER = (
    *(f"journal.{step}" for step in JOURNAL),
    *(f"seal.{step}" for step in SEAL),
    *("session.closing", "session.closed", "ledger.written"),
    *SHIPPING,
)
REPOSITORY = (
    *(f"register.{step}" for step in ("verified", "moved", "entered", "receipted", "noted", "done")),
    *("dataset.entered", "dataset.receipted"),
)
INBOX = ("inbox.fetched", "inbox.announced", "inbox.receipted", "inbox.removed")
COPIED = ("recovery.copied", "recovery.replaced")
SEALED_IN_PLACE = ("recovery.hashed", "recovery.announced")
QUARANTINE = ("quarantine.written", "quarantine.noted")
STORES: tuple[Far, ...] = ("s3", "globus")
FARS: tuple[Far, ...] = ("posix", *STORES)
PARTS = ("journal", "seal", "ship", "register")
LARGEST_STEP = {"journal": 2000, "seal": 500, "ship": 900, "register": 500}


Kill = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Case:
    """Who is killed where, and what kind of far end lies between the two.

    `again` is the step at which the next run of the recorder is killed, too; a `poisoned` recording holds a
    frame that belongs into the quarantine.
    """

    far: Far
    who: Who
    kill: Kill
    again: str | None = None
    poisoned: bool = False

    def __str__(self) -> str:
        words = [self.far, self.who, *(str(value) for _, value in self.kill)]
        return " ".join([*words, *([self.again] if self.again else [])])


def at(step: str, occurrence: int = 1) -> Kill:
    """Killed when the code says for so many times that it is at this step."""
    return (("label", step), ("occurrence", occurrence))


def labelled(far: Far, who: Who, step: str, occurrence: int = 1) -> Case:
    """Killed once, at a step of an undisturbed recording."""
    return Case(far, who, at(step, occurrence))


def anywhere(chance: np.random.Generator) -> Case:
    """Killed at any step of the interpreter inside one part of the code."""
    part = str(chance.choice(PARTS))
    who: Who = "repository" if part == "register" else "recorder"
    far: Far = FARS[int(chance.choice(len(FARS), p=(0.6, 0.2, 0.2)))]
    return Case(far, who, (("part", part), ("step", int(chance.integers(1, LARGEST_STEP[part])))))


def cases(nightly: bool) -> list[Case]:
    """What is killed where."""
    chosen = [labelled("posix", "recorder", step) for step in RECORDER]
    chosen += [labelled("posix", "repository", step) for step in REPOSITORY]
    chosen += [labelled("s3", "recorder", step) for step in SHIPPING]
    chosen += [labelled("s3", "repository", step) for step in INBOX]
    chosen += [labelled("globus", "recorder", step) for step in SHIPPING]
    chosen += [Case("posix", "recorder", at("journal.durable", 2), again=step) for step in COPIED]
    chosen += [Case("posix", "recorder", at("seal.vouched"), again=step) for step in SEALED_IN_PLACE]
    chosen += [Case("posix", "recorder", at(step), poisoned=True) for step in QUARANTINE]
    chance = np.random.default_rng(2611)
    if nightly:
        chosen += [
            labelled("posix", "recorder", step, n) for n in (2, 3) for step in RECORDER[: len(JOURNAL + SEAL)]
        ]
        chosen += [
            labelled(far, "recorder", step, n) for far in STORES for n in (2, 3) for step in OF_A_SHARD
        ]
    wanted = NIGHTLY_CASES if nightly else len(chosen) + RANDOM_CASES
    while len(chosen) < wanted:
        case = anywhere(chance)
        chosen += [] if case in chosen else [case]
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", cases(metafunc.config.getoption("--nightly")), ids=str)


def finish(chain: Chain, recorder: Service, repository: Service, publish: Publish) -> None:
    """Run again what has died, end the session, and wait until everything has arrived.

    `publish` is what the frames went by: the end of the session must not overtake those on their way.
    """
    if recorder.ended:
        recorder = chain.start_recorder()
    if repository.ended:
        repository = chain.start_repository()
    wait_until(lambda: chain.stop_session(publish, ACQUISITIONS), "the session ends")
    wait_until(lambda: chain.is_finished() or recorder.ended or repository.ended, "everything arrives")
    alive = not (recorder.ended or repository.ended)
    assert alive, f"a service died by itself: {recorder.log} {repository.log}"
    recorder.stop()
    # A manifest whose delivery was not noted may have been sent once more.
    wait_until(chain.is_finished, "what was sent last is taken in")
    repository.stop()
    for service in (recorder, repository):
        assert service.status == 0, service.log.read_text()


def killed_and_finished(chain: Chain, case: Case) -> bool:
    """Whether the kill was reached; fails when anything was lost, doubled or left."""
    kill: dict[str, Any] = dict(case.kill)
    with chain:
        repository = chain.start_repository(kill if case.who == "repository" else None)
        recorder = chain.start_recorder(kill if case.who == "recorder" else None)

        def over() -> bool:
            return recorder.ended or repository.ended

        def deaf() -> bool:
            return recorder.ended

        with chain.publishing() as publish:
            # A recording does not care for its repository's death.
            wait_until(lambda: deaf() or chain.start_session(publish), "the session starts")
            chain.record(publish, range(POISONED_AFTER), until=deaf)
            if case.poisoned:
                wait_until(lambda: deaf() or publish(POISON), "the poison is taken")
            chain.record(publish, range(POISONED_AFTER, ACQUISITIONS), until=deaf)
            wait_until(lambda: deaf() or chain.stop_session(publish, ACQUISITIONS), "the session ends")
            wait_until(lambda: over() or chain.is_finished(), "everything arrives or a service dies")
            acknowledged = [frame for frame in chain.acknowledged() if frame[1] in STREAMS]
            reached = recorder.was_killed or repository.was_killed
            assert reached or not over(), f"a service died by itself: {recorder.log} {repository.log}"
            if case.again is not None:
                recorder = chain.start_recorder(dict(at(case.again)))
                reached = reached and recorder.was_killed
            finish(chain, recorder, repository, publish)
        chain.require_exactly_once(acknowledged)
        require_nothing_left(chain, poisoned=case.poisoned)
    return reached


def require_nothing_left(chain: Chain, *, poisoned: bool) -> None:
    """No work is half done anywhere; poison lies in the quarantine once, byte for byte, with its reason."""
    left = chain.leftovers()
    if poisoned:
        content, reason = sorted(left)
        assert content.read_bytes() == POISON.array.tobytes()
        assert json.loads(reason.read_text())["kind"] == "not_finite"
        left = [path for path in left if path.parent != chain.recording / "quarantine"]
    assert left == []


def sections(far: Far, request: pytest.FixtureRequest, folder: Path) -> dict[str, dict[str, Any]]:
    """Settings that lead from the instrument to the repository over this kind of far end."""
    if far == "posix":
        return {}
    if far == "globus":
        return globus_sections(request.getfixturevalue("globus_emulator"), folder)
    store = request.getfixturevalue("swift")
    store_client(store).create_bucket(Bucket=(bucket := folder.name.replace("_", "-").lower()))
    address = f"s3://{bucket}/lab"
    credentials = write_credentials(folder / "credentials")
    return {
        "agent": {"ship_to": address},
        "repository": {"inbox": address},
        "s3": {"endpoint": store.url, "credentials": str(credentials)},
    }


def globus_sections(globus: GlobusEmulator, folder: Path) -> dict[str, dict[str, Any]]:
    """The instrument's home and the folder above the repository's root are collections."""
    near, far = str(uuid.uuid4()), str(uuid.uuid4())
    globus.collections.update({near: Collection(folder / "home"), far: Collection(folder)})
    return {
        "agent": {"ship_to": f"globus://{far}/repository"},
        "globus": {
            **register_service(globus, folder),
            "source_collection": near,
            "poll_min_s": 0.02,
            "poll_max_s": 0.1,
            "receipts_min_s": 0.05,
            "receipts_max_s": 0.2,
        },
    }


def environment_of(far: Far, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """What its SDK must be told in the services' processes."""
    if far != "globus":
        return {}
    globus: GlobusEmulator = request.getfixturevalue("globus_emulator")
    return globus.environment


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
            environment = environment_of(case.far, request)
            chain = Chain(folder, forks, sections(case.far, request, folder), environment)
            started[case] = several.submit(killed_and_finished, chain, case)
        yield started
        for outcome in started.values():
            outcome.cancel()


def test_every_step_that_the_code_names_is_one_of_the_cases() -> None:
    chosen = cases(nightly=False)
    killed_at = {str(value) for case in chosen for key, value in case.kill if key == "label"}
    killed_at |= {case.again for case in chosen if case.again is not None}
    # A retention rule deletes in a process of its own: tests/data_repository/test_retention.py.
    here = {step for step in (*RECORDER_STEPS, *REPOSITORY_STEPS) if not step.startswith("prune.")}
    assert here - killed_at == set()


def test_a_kill_loses_and_doubles_nothing(outcomes: dict[Case, Future[bool]], case: Case) -> None:
    if case not in outcomes:
        pytest.skip("needs Debian's swift packages")
    reached = outcomes[case].result()
    if "label" in dict(case.kill):
        assert reached, "the step was never reached"
