"""Services and people at Globus: tokens that are renewed, consents, secrets that stay where they belong."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucentric_core import ConfigurationError, EucentricError
from eucentric_transfer import FarEndError, Outgoing, RemoteFile
from eucentric_transfer.globus import SECRET_VARIABLE, GlobusAccount

from ..servers.globus import Collection
from .globus_batches import batch, wait_until
from .globus_site import Site


@pytest.fixture(params=["service", "person"])
def site(request: pytest.FixtureRequest, globus_far_end: Site) -> Site:
    """A site where somebody of each kind is logged in."""
    if request.param == "person":
        globus_far_end.as_person()
        globus_far_end.log_in()
    return globus_far_end


@pytest.fixture
def person(globus_far_end: Site) -> Site:
    """A site for a person, who has not logged in yet."""
    globus_far_end.as_person()
    return globus_far_end


@pytest.fixture
def short_tokens(globus_far_end: Site) -> Iterator[None]:
    """Access tokens that are as good as expired when they are issued."""
    auth = globus_far_end.emulator.auth
    before, auth.access_token_lifetime_s = auth.access_token_lifetime_s, 30
    yield
    auth.access_token_lifetime_s = before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_tokens_are_kept_where_only_their_owner_reads(site: Site) -> None:
    site.mover().put_bytes(b"x", "a.json")
    folder = site.settings.folder
    assert folder is not None
    if os.name != "nt":
        assert mode(folder) == 0o700
        assert mode(folder / "tokens.db") == 0o600
        (folder / "tokens.db").chmod(0o644)
        site.mover()
        assert mode(folder / "tokens.db") == 0o600


def test_a_token_that_stops_to_count_in_the_middle_of_a_wait_is_renewed(site: Site) -> None:
    mover = site.mover()
    site.emulator.faults.stall = True
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.extend(mover.put_many(batch(2))))
    thread.start()
    wait_until(site.transfers)
    issued = len(site.emulator.auth.issued)
    site.emulator.auth.expire_access_tokens()
    asked = len(site.emulator.requests)
    wait_until(lambda: len(site.emulator.requests) > asked + 5)
    site.emulator.faults.stall = False
    thread.join()
    assert all(isinstance(answer, RemoteFile) for answer in answers)
    assert len(site.emulator.auth.issued) > issued
    # The renewed token was stored: the next process begins with it.
    site.mover().put_bytes(b"x", "a.json")


def test_tokens_that_expire_at_once_are_renewed_for_every_call(site: Site, short_tokens: None) -> None:
    site.emulator.auth.expire_access_tokens()
    issued = len(site.emulator.auth.issued)
    assert all(isinstance(answer, RemoteFile) for answer in site.mover().put_many(batch(3)))
    assert len(site.emulator.auth.issued) > issued + 3


def test_threads_share_one_mover_while_tokens_change(site: Site) -> None:
    mover = site.mover()
    site.plant("a.json", b"x")
    failed: list[BaseException] = []

    def look() -> None:
        try:
            for _ in range(15):
                assert mover.size("a.json") == 1
        except (EucentricError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        site.emulator.auth.expire_access_tokens()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_collection_that_wants_a_consent_of_its_own(site: Site) -> None:
    site.emulator.collections[site.far_id] = Collection(site.far, mapped=True)
    mover = site.mover()
    if site.settings.app == "person":
        (answer,) = mover.put_many(batch(1))
        assert isinstance(answer, FarEndError)
        assert "wants a consent" in answer.what
        assert "globus login" in answer.next_step
        assert answer.details["reason"] == "consent"
        assert site.far_id in json.dumps(answer.details["required_scopes"])
        site.log_in()
        assert f"{site.far_id}/data_access" in site.emulator.auth.consented_to[-1]
        mover = site.mover()
    assert isinstance(mover.put_many(batch(1))[0], RemoteFile)


def test_a_consent_of_a_service_is_asked_for_again_with_a_new_token(globus_far_end: Site) -> None:
    site = globus_far_end
    site.emulator.collections[site.far_id] = Collection(site.far, mapped=True)
    mover = site.mover()
    mover.put_bytes(b"x", "a.json")
    site.emulator.auth.consents.clear()
    site.emulator.auth.expire_access_tokens()
    mover.put_bytes(b"y", "b.json")
    assert set(site.files()) == {"a.json", "b.json"}


def test_nobody_is_asked_for_a_code_by_a_program_in_the_background(person: Site) -> None:
    (answer,) = person.mover().put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert answer.details["reason"] == "credentials"
    assert "eucentric globus login" in answer.next_step
    assert person.staged() == []


def test_a_person_who_withdrew_everything_is_told_to_log_in_and_can(person: Site) -> None:
    person.log_in()
    mover = person.mover()
    mover.put_bytes(b"x", "a.json")
    person.emulator.auth.revoke_everything()
    (answer,) = mover.put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert answer.details["reason"] == "credentials"
    assert "globus login" in answer.next_step
    person.log_in()
    assert isinstance(person.mover().put_many(batch(1))[0], RemoteFile)


def test_a_wrong_code_is_not_accepted(person: Site) -> None:
    with (
        GlobusAccount(person.settings, ask_code=lambda _: "wrong") as account,
        pytest.raises(FarEndError, match="logging in"),
    ):
        account.log_in()


def test_somebody_else_does_not_take_over_a_login(person: Site) -> None:
    person.log_in()
    auth = person.emulator.auth
    before, auth.person = auth.person, "00000000-0000-0000-0000-000000000000"
    try:
        auth.revoke_everything()
        with pytest.raises(FarEndError, match="Somebody else"):
            person.log_in()
    finally:
        auth.person = before


def test_logging_out_revokes_the_tokens(site: Site) -> None:
    site.mover().put_bytes(b"x", "a.json")
    auth = site.emulator.auth
    with GlobusAccount(site.settings) as account:
        assert account.logged_in()
        account.log_out()
        assert not account.logged_in()
        assert account.tokens() == ()
    ours = site.settings.client_id
    assert [token for token in auth.tokens.values() if token.client == ours] == []
    assert [grant for grant in auth.refresh_tokens.values() if grant.client == ours] == []


def test_a_wrong_secret_is_said_and_not_repeated(
    globus_far_end: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "canary-of-a-wrong-secret")
    (answer,) = globus_far_end.mover().put_many(batch(1))
    assert isinstance(answer, FarEndError)
    assert answer.details["reason"] == "credentials"
    assert "globus.secret_file" in answer.next_step
    assert "canary" not in str(answer) + json.dumps(answer.report().model_dump(mode="json"))


@pytest.mark.parametrize(
    ("content", "rights", "reason"),
    [
        ("canary", 0o644, "others may read it"),
        ("", 0o600, "holds no secret"),
        ("caf\u00e9-canary", 0o600, "holds no secret"),
        ("a\ncanary", 0o600, "holds no secret"),
        (None, 0o600, "No such file"),
    ],
)
def test_a_secret_that_cannot_be_used(
    globus_far_end: Site, content: str | None, rights: int, reason: str
) -> None:
    path = globus_far_end.settings.secret_file
    assert path is not None
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(rights)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        globus_far_end.mover()
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_secret_from_the_environment(globus_far_end: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, globus_far_end.secret)
    globus_far_end.change(secret_file=None)
    globus_far_end.mover().put_bytes(b"x", "a.json")


def test_without_an_application_nothing_is_opened(globus_far_end: Site) -> None:
    globus_far_end.change(client_id=None)
    with pytest.raises(ConfigurationError, match="no application"):
        globus_far_end.mover()


def test_two_applications_of_one_machine_keep_their_tokens_apart(globus_far_end: Site) -> None:
    globus_far_end.mover().put_bytes(b"x", "a.json")
    globus_far_end.as_person()
    with GlobusAccount(globus_far_end.settings) as account:
        assert not account.logged_in()


def test_secrets_are_nowhere_but_in_the_token_storage(
    site: Site, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Every way a call can end, with everything logged that can be."""
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        if site.settings.app == "person":
            site.emulator.auth.revoke_everything()
            site.log_in()
        mover = site.mover()
        mover.put_bytes(b"x", "a.json")
        site.emulator.faults.fail_tasks = 1
        site.emulator.faults.answers = [("/stat", 400, {}), ("/ls", 403, {})]
        for answer in mover.put_many(batch(1)):
            said.append(repr(answer))
        for call in (lambda: mover.size("a.json"), lambda: mover.list("incoming")):
            try:
                call()
            except EucentricError as error:
                said += [str(error), repr(error), error.report().model_dump_json()]
                while (cause := error.__cause__) is not None and isinstance(cause, Exception):
                    said.append(repr(cause))
                    break
        site.emulator.auth.revoke_everything()
        said += [repr(answer) for answer in mover.put_many([Outgoing(b"y", "b.json")])]
        with GlobusAccount(site.settings) as account:
            said += [repr(account), str(vars(account)), str(account.tokens())]
        said += [repr(mover), str(vars(mover)), repr(site.settings)]
    # Asked last, so that nothing issued meanwhile is missed.
    secrets = [site.secret, *site.emulator.auth.issued]
    assert len(secrets) > 1
    printed = capfd.readouterr()
    everywhere = "\n".join([*said, caplog.text, printed.out, printed.err])
    assert [secret for secret in secrets if secret in everywhere] == []
    allowed = {"tokens.db", "globus-secret"}
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name not in allowed:
            content = path.read_bytes()
            assert [secret for secret in secrets if secret.encode() in content] == [], path
