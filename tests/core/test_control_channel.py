"""Small questions get small answers, typed errors cross the wire, and a stop never waits behind a scan."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import Pyro5.api
import Pyro5.errors
import pytest

from eucentric_core import (
    BusyError,
    CommandRefusedError,
    ConfigurationError,
    LeaseStatus,
    RemoteError,
    ServiceUnavailableError,
    TransportError,
)
from eucentric_core.transport import (
    MAX_CONTROL_BYTES,
    ControlLimits,
    PyroControlClient,
    PyroControlServer,
    find_free_port,
    require_port_free,
)

StartControl = Callable[..., PyroControlServer]
Payload = dict[str, Any]


def echo(payload: Payload) -> Payload:
    return payload


def test_a_question_is_answered_as_it_was_asked(start_control: StartControl) -> None:
    server = start_control({"echo": echo})
    client = PyroControlClient(*server.address)
    question: Payload = {
        "text": 'π "quoted" \\ \n',
        "number": 1.5e-12,
        "list": [1, None, True, {"a": []}],
        "": {},
    }
    assert client.call("echo", question) == question
    client.close()


def test_a_dressed_up_object_stays_a_dictionary(start_control: StartControl) -> None:
    # Pyro's own JSON turns a dictionary with this key into an object of the named class.
    server = start_control({"echo": echo})
    client = PyroControlClient(*server.address)
    question: Payload = {
        "__class__": "builtins.SystemExit",
        "__exception__": True,
        "args": [3],
        "attributes": {},
    }
    assert client.call("echo", question) == question
    client.close()


def test_a_typed_error_arrives_as_itself(start_control: StartControl) -> None:
    def refuse(_: Payload) -> Payload:
        raise BusyError("Scanning.", safe="beam is on the sample.", next_step="abort first.", frames_left=3)

    client = PyroControlClient(*start_control({"refuse": refuse}).address)
    with pytest.raises(BusyError) as caught:
        client.call("refuse", {})
    client.close()
    assert (caught.value.what, caught.value.safe, caught.value.next_step) == (
        "Scanning.",
        "beam is on the sample.",
        "abort first.",
    )
    assert caught.value.details == {"frames_left": 3}


def test_an_unforeseen_failure_is_logged_there_and_says_nothing_here(
    start_control: StartControl, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Payload) -> Payload:
        raise RuntimeError("the password is 1234")

    client = PyroControlClient(*start_control({"fail": fail}).address)
    with caplog.at_level(logging.ERROR), pytest.raises(RemoteError) as caught:
        client.call("fail", {})
    client.close()
    assert "1234" not in str(caught.value)
    assert "the password is 1234" in caplog.text


def test_a_request_out_of_bounds_names_the_field(start_control: StartControl) -> None:
    def check(payload: Payload) -> Payload:
        return LeaseStatus.model_validate(payload).model_dump(mode="json")

    client = PyroControlClient(*start_control({"check": check}).address)
    with pytest.raises(CommandRefusedError, match="remaining_s"):
        client.call("check", {"holder": None, "epoch": 1, "remaining_s": -1})
    client.close()


def test_an_unknown_method_is_refused_with_the_known_ones(start_control: StartControl) -> None:
    client = PyroControlClient(*start_control({"echo": echo, "ping": echo}).address)
    with pytest.raises(CommandRefusedError, match="'__class__'") as caught:
        client.call("__class__", {})
    client.close()
    assert "echo, ping" in caught.value.next_step


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_what_is_not_json_is_refused_before_it_is_sent(start_control: StartControl, value: Any) -> None:
    client = PyroControlClient(*start_control({"echo": echo}).address)
    with pytest.raises(CommandRefusedError, match="plain JSON"):
        client.call("echo", {"value": value})
    client.close()


def test_a_message_up_to_the_limit_passes_and_a_larger_one_does_not(start_control: StartControl) -> None:
    def grow(payload: Payload) -> Payload:
        return {"text": payload["text"] * 2}

    server = start_control({"echo": echo, "grow": grow})
    client = PyroControlClient(*server.address)
    # Quotation marks are the dearest: each takes two bytes in the request and four on the wire.
    largest: Payload = {"text": '"' * ((MAX_CONTROL_BYTES - len('{"text":""}')) // 2)}
    assert client.call("echo", largest) == largest
    with pytest.raises(CommandRefusedError, match="the control channel takes"):
        client.call("echo", {"text": "x" * MAX_CONTROL_BYTES})
    with pytest.raises(CommandRefusedError, match="The answer to grow"):
        client.call("grow", {"text": "x" * (MAX_CONTROL_BYTES - 100)})
    assert client.call("echo", {"still": "there"}) == {"still": "there"}
    client.close()


def test_a_stop_on_its_own_connection_overtakes_a_scan(start_control: StartControl) -> None:
    stopped = threading.Event()

    def scan(_: Payload) -> Payload:
        assert stopped.wait(20)
        return {"scan": "aborted"}

    def stop(_: Payload) -> Payload:
        stopped.set()
        return {"stop": "done"}

    server = start_control({"scan": scan, "stop": stop})
    scanning, guard = PyroControlClient(*server.address, timeout_s=20), PyroControlClient(*server.address)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(scanning.call, "scan", {})
        assert guard.call("stop", {}) == {"stop": "done"}
        assert answer.result(20) == {"scan": "aborted"}
    scanning.close()
    guard.close()


def test_one_client_serves_many_threads(start_control: StartControl) -> None:
    client = PyroControlClient(*start_control({"echo": echo}).address)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: client.call("echo", {"number": number}), range(200)))
    client.close()
    assert [answer["number"] for answer in answers] == list(range(200))


def test_a_restarted_server_is_found_again_without_an_error(start_control: StartControl) -> None:
    first = start_control({"who": lambda _: {"server": 1}})
    client = PyroControlClient(*first.address)
    assert client.call("who", {}) == {"server": 1}
    start_control({"who": lambda _: {"server": 2}}, port=first.address[1])
    assert client.call("who", {}) == {"server": 2}
    client.close()


def test_a_connection_that_was_idle_for_long_is_replaced(start_control: StartControl) -> None:
    server = start_control({"echo": echo}, limits=ControlLimits(idle_s=0.2))
    client = PyroControlClient(*server.address)
    client.call("echo", {})
    connection = client._proxy._pyroConnection.sock  # type: ignore[union-attr]
    connection.settimeout(10)
    assert connection.recv(1, socket.MSG_PEEK) == b""  # the server has hung up
    assert client.call("echo", {"again": 1}) == {"again": 1}
    client.close()


def test_a_stopped_server_serves_no_connection_any_more(start_control: StartControl) -> None:
    server = start_control({"echo": echo})
    client = PyroControlClient(*server.address, timeout_s=5)
    client.call("echo", {})
    _, port = server.address
    start_control({}, port=port)
    with pytest.raises(CommandRefusedError, match="no method"):
        client.call("echo", {})
    client.close()


def test_a_server_stopped_before_it_serves_returns_at_once() -> None:
    server = PyroControlServer({}, host="127.0.0.1", port=0)
    server.stop()
    server.serve()
    require_port_free(*server.address, "nothing")


def test_nobody_there_is_a_typed_error() -> None:
    client = PyroControlClient("127.0.0.1", find_free_port(), timeout_s=2)
    with pytest.raises(ServiceUnavailableError, match="No service answers"):
        client.call("ping", {})
    client.close()


def test_a_lost_answer_is_a_typed_error_and_the_method_runs_once(start_control: StartControl) -> None:
    runs: list[int] = []
    release = threading.Event()

    def slow(_: Payload) -> Payload:
        runs.append(1)
        assert release.wait(20)
        return {}

    client = PyroControlClient(*start_control({"slow": slow, "echo": echo}).address, timeout_s=0.3)
    with pytest.raises(TransportError, match="No answer to slow"):
        client.call("slow", {})
    assert client.call("echo", {"a": 1}) == {"a": 1}
    release.set()
    client.close()
    assert runs == [1]


@pytest.mark.parametrize(
    "junk",
    [b"", b"GET / HTTP/1.1\r\n\r\n", b"PYRO" + b"\xff" * 60, b"\0" * 5000],
    ids=lambda junk: repr(junk[:8]),
)
def test_junk_on_the_port_disturbs_nobody(start_control: StartControl, junk: bytes) -> None:
    server = start_control({"echo": echo})
    with socket.create_connection(server.address) as stranger:
        stranger.sendall(junk)
    client = PyroControlClient(*server.address)
    assert client.call("echo", {"a": 1}) == {"a": 1}
    client.close()


@pytest.mark.parametrize("serializer", ["marshal", "serpent"])
def test_only_json_is_read(start_control: StartControl, serializer: str) -> None:
    server = start_control({"echo": echo})
    with Pyro5.api.Proxy("PYRO:control@{}:{}".format(*server.address)) as proxy:
        proxy._pyroSerializer = serializer
        proxy._pyroTimeout = 5
        with pytest.raises(Pyro5.errors.PyroError):
            proxy.call("echo", "{}")


@pytest.mark.parametrize("request_text", ["[]", "not json", "[" * 100_000, None, 5])
def test_a_request_that_is_no_object_is_refused(start_control: StartControl, request_text: Any) -> None:
    server = start_control({"echo": echo})
    with Pyro5.api.Proxy("PYRO:control@{}:{}".format(*server.address)) as proxy:
        proxy._pyroSerializer = "json"
        assert '"command_refused"' in proxy.call("echo", request_text)["error"]


def test_a_port_in_use_and_an_address_that_is_not_local_are_refused(start_control: StartControl) -> None:
    _, port = start_control({}).address
    with pytest.raises(
        ConfigurationError, match=f"Port {port} on 127.0.0.1, wanted for the control channel"
    ) as caught:
        PyroControlServer({}, host="127.0.0.1", port=port)
    assert caught.value.details == {"port": port}
    with pytest.raises(ConfigurationError, match="is in use"):
        require_port_free("127.0.0.1", port, "the test")
    for host in ("0.0.0.0", "192.168.1.7", "example.org", ""):  # noqa: S104
        with pytest.raises(ConfigurationError, match="without keys"):
            PyroControlServer({}, host=host, port=0)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        require_port_free("203.0.113.9", 4310, "the test")
