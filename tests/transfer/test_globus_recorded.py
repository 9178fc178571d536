"""What Globus's client library recorded of its service: we read it rightly, the emulator speaks like it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from globus_sdk import AuthClient, ConfidentialAppAuthClient, NativeAppAuthClient, TransferClient
from globus_sdk.scopes import AuthScopes
from globus_sdk.testing import RegisteredResponse, get_response_set, load_response

from eucentric_core import GlobusSettings, TransferFailedError
from eucentric_transfer import FarEndError
from eucentric_transfer.globus import SECRET_VARIABLE, GlobusAccount, TransferService
from eucentric_transfer.globus._service import RemoteEntry

from .globus_site import Site


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every request gets what was recorded, or fails."""
    for service in ("AUTH", "TRANSFER"):
        monkeypatch.delenv(f"GLOBUS_SDK_SERVICE_URL_{service}", raising=False)
    with responses.mock:
        load_response(ConfidentialAppAuthClient.oauth2_client_credentials_tokens)
        yield


@pytest.fixture
def account(recorded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusAccount]:
    """A service that got the recorded token."""
    monkeypatch.setenv(SECRET_VARIABLE, "a secret nobody checks")
    settings = GlobusSettings(client_id=str(uuid.uuid4()), app="service", folder=tmp_path / "globus")
    with GlobusAccount(settings) as opened:
        yield opened


@pytest.fixture
def service(account: GlobusAccount) -> TransferService:
    return TransferService(account)


def load(method: Any, case: str = "default") -> Any:
    return load_response(method, case=case).metadata


def test_a_task_is_submitted(service: TransferService) -> None:
    known = load(TransferClient.get_submission_id)
    load(TransferClient.submit_transfer)
    load(TransferClient.submit_delete)
    number = service.submission_id()
    assert number == known["submission_id"]
    task_id = get_response_set(TransferClient.submit_transfer).metadata["task_id"]
    assert service.submit("transfer", {"submission_id": number}) == task_id
    assert service.submit("delete", {"submission_id": number}) == task_id


def test_a_task_that_is_refused(service: TransferService) -> None:
    load(TransferClient.submit_transfer, "failure")
    with pytest.raises(TransferFailedError, match="at least one item") as caught:
        service.submit("transfer", {"submission_id": "any"})
    assert caught.value.details["globus_code"] == "ClientError.BadRequest.NoTransferItems"
    assert caught.value.details["http_status"] == 400
    assert not isinstance(caught.value, FarEndError)


def test_looking_at_a_file(service: TransferService) -> None:
    endpoint = load(TransferClient.operation_stat)["endpoint_id"]
    assert service.stat(endpoint, "/home/file1.txt") == RemoteEntry("file1.txt", True, 4)


def test_a_file_that_is_not_there(service: TransferService) -> None:
    endpoint = get_response_set(TransferClient.operation_stat).metadata["endpoint_id"]
    load(TransferClient.operation_stat, "not_found")
    assert service.stat(endpoint, "/foo") is None


def test_a_file_that_may_not_be_looked_at(service: TransferService) -> None:
    endpoint = get_response_set(TransferClient.operation_stat).metadata["endpoint_id"]
    load(TransferClient.operation_stat, "permission_denied")
    with pytest.raises(FarEndError, match="Denied by endpoint") as caught:
        service.stat(endpoint, "/foo")
    assert caught.value.details["reason"] == "permission"
    assert "\n" not in caught.value.what


def test_folders_and_names(service: TransferService) -> None:
    endpoint = load(TransferClient.operation_mkdir)["endpoint_id"]
    load(TransferClient.operation_rename)
    load(TransferClient.get_endpoint)
    assert service.mkdir(endpoint, "/a")
    assert service.rename(endpoint, "/a", "/b") == "renamed"
    assert service.name_of(endpoint) == "myserver (GCSv4_host)"


def recorded_task() -> dict[str, Any]:
    task: dict[str, Any] = recorded_answer(TransferClient.task_list)["DATA"][0]
    return task


def play(path: str, answer: dict[str, Any]) -> None:
    RegisteredResponse(service="transfer", path=path, json=answer).add()


def test_a_task_that_ended_well(service: TransferService) -> None:
    task = recorded_task()
    play(f"/v0.10/task/{task['task_id']}", task)
    report = service.task(task["task_id"])
    assert (report.succeeded, report.failed, report.suspended, report.paused) == (True, False, False, False)
    assert (report.faults, report.bytes_moved) == (0, 4)


def test_a_task_that_did_not(service: TransferService) -> None:
    # The event and the codes are those of docs.globus.org/api/transfer/task_events.
    error = {"code": "PERMISSION_DENIED", "description": "Permission denied"}
    task = {**recorded_task(), "status": "FAILED", "fatal_error": error}
    play(f"/v0.10/task/{task['task_id']}", task)
    event = {
        "DATA_TYPE": "event",
        "code": "PERMISSION_DENIED",
        "description": "Permission denied",
        "details": "Error (transfer)\nServer: ballen#uc-laptop (Globus Connect)\n500 Command failed.",
        "is_error": True,
        "time": "2014-07-08 18:50:18+00:00",
    }
    play(f"/v0.10/task/{task['task_id']}/event_list", {"DATA_TYPE": "event_list", "DATA": [event]})
    report = service.task(task["task_id"])
    assert (report.failed, report.code, report.description) == (True, *error.values())
    (noted,) = service.events(task["task_id"])
    assert (noted["code"], noted["is_error"]) == ("PERMISSION_DENIED", True)
    assert "ballen#uc-laptop" in noted["text"]


def test_tasks_that_run_and_cancelling_one(service: TransferService) -> None:
    load(TransferClient.task_list)
    assert service.active_tasks() == ((recorded_task()["task_id"], "SUCCEEDED", ""),)
    task_id = load(TransferClient.cancel_task)["task_id"]
    assert service.cancel(task_id) == "Canceled"


def test_what_a_task_moved(service: TransferService) -> None:
    page = {
        **recorded_answer(TransferClient.endpoint_manager_task_successful_transfers),
        "next_marker": None,
    }
    task_id = str(uuid.uuid4())
    play(f"/v0.10/task/{task_id}/successful_transfers", page)
    assert service.arrived(task_id, limit=10) == {"/path/to/destination"}


def test_a_login_that_is_not_accepted(recorded: None, tmp_path: Path) -> None:
    load(NativeAppAuthClient.oauth2_exchange_code_for_tokens, "invalid_grant")
    settings = GlobusSettings(client_id=str(uuid.uuid4()), folder=tmp_path / "globus")
    responses.mock.remove(responses.POST, "https://auth.globus.org/v2/oauth2/token")
    load(NativeAppAuthClient.oauth2_exchange_code_for_tokens, "invalid_grant")
    with (
        GlobusAccount(settings, ask_code=lambda _: "wrong") as account,
        pytest.raises(FarEndError) as caught,
    ):
        account.log_in()
    assert caught.value.details["reason"] == "credentials"


def shape(value: Any) -> Any:
    """Which fields there are, and of which kind."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return "text" if isinstance(value, str) else type(value).__name__


def recorded_answer(method: Callable[..., Any], case: str = "default") -> dict[str, Any]:
    found = get_response_set(method).lookup(case)
    assert isinstance(found, RegisteredResponse)
    assert isinstance(found.json, dict)
    return found.json


def test_the_emulator_answers_in_the_same_words(globus_far_end: Site) -> None:
    site = globus_far_end
    mover = site.mover()
    mover.put_bytes(b"four", "file1.txt")
    client = mover._account.transfer
    task_id = site.emulator.tasks.of_kind("transfer")[-1].id

    assert shape(client.operation_stat(site.far_id, "/base/file1.txt").data) == shape(
        recorded_answer(TransferClient.operation_stat)
    )
    assert shape(client.get_submission_id().data) == shape(recorded_answer(TransferClient.get_submission_id))
    moved = client.task_successful_transfers(task_id).data["DATA"]
    known = recorded_answer(TransferClient.endpoint_manager_task_successful_transfers)["DATA"]
    assert shape(moved) == shape(known)

    task, theirs = shape(client.get_task(task_id).data), shape(recorded_task())
    # Their documentation has it, their recording does not.
    assert task.pop("DATA_TYPE") == "text"
    assert set(task) <= set(theirs)
    differing = {key for key in task if task[key] != theirs[key]}
    # A label is ours to give.
    assert differing == {"label"}

    again = site.emulator.tasks.of_kind("transfer")[-1].order
    assert client.submit_transfer(again)["code"] == "Duplicate"
    accepted = shape(recorded_answer(TransferClient.submit_transfer))
    del accepted["task_link"]
    answered = shape(client.submit_transfer(again).data)
    assert {key: answered[key] for key in accepted} == accepted


def test_the_emulator_records_consents_in_the_same_words(globus_far_end: Site) -> None:
    site = globus_far_end
    site.as_person()
    site.log_in()
    with (
        GlobusAccount(site.settings) as account,
        AuthClient(app=account.app, app_scopes=[AuthScopes.openid]) as client,
    ):
        consents = client.get_consents(site.emulator.auth.person).data["consents"]
    assert shape(consents) == shape(recorded_answer(AuthClient.get_consents)["consents"])
