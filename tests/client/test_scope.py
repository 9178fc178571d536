"""An instrument in a notebook: found by name, shown, steered, measured, and back after a broken link."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import pytest

import eucentric
from eucentric.scope import known_instruments
from eucentric.scope._countdown import line
from eucentric_core import (
    AgentSettings,
    ConfigurationError,
    LeaseError,
    ServiceUnavailableError,
    Settings,
    control_connections,
)

from ..links import Link
from .microscope import Machine, running_machine

Connect = Callable[..., eucentric.Scope]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine all these tests share."""
    with running_machine(tmp_path_factory.mktemp("machine")) as running:
        yield running


@pytest.fixture
def connect(machine: Machine) -> Iterator[Connect]:
    """Connects scopes to the agent and closes them."""
    opened: list[eucentric.Scope] = []

    def connector(client: str = "ada") -> eucentric.Scope:
        opened.append(eucentric.connect("titan", config=machine.config, client=client))
        return opened[-1]

    yield connector
    for scope in opened:
        scope.close()


def measured(scope: eucentric.Scope, session: str) -> eucentric.Measurement:
    """One frame in a session of its own."""
    with scope.control(reason="measure"):
        scope.start_session(session)
        scope.unblank(max_duration_s=10)
        frame = scope.scan(height_px=48, width_px=64)
        scope.blank()
        scope.stop_session()
    return frame


def test_an_instrument_is_found_by_its_name(machine: Machine, connect: Connect) -> None:
    by_name = connect()
    own = eucentric.connect(config=machine.config, client="bob")
    assert own.capabilities == by_name.capabilities
    assert "SIMULATED" in repr(own)
    own.close()


def test_an_unknown_name_is_refused_with_the_known_ones(machine: Machine) -> None:
    with pytest.raises(ConfigurationError, match="'krios'") as refused:
        eucentric.connect("krios", config=machine.config)
    assert all(name in refused.value.next_step for name in ("titan", "far-away", "scope"))


def test_an_agent_that_does_not_run_is_one_sentence(machine: Machine) -> None:
    with pytest.raises(ServiceUnavailableError, match="No service answers"):
        eucentric.connect("far-away", config=machine.config)


def test_the_scope_shows_itself_with_its_badge_and_who_steers(connect: Connect) -> None:
    scope = connect()
    with connect("bob").control(reason="look"):
        shown = scope._repr_html_()
    assert ">SIMULATED</span>" in shown
    assert "bob" in shown
    assert "blanked" in shown


def test_a_frame_arrives_calibrated_and_becomes_what_other_packages_use(connect: Connect) -> None:
    frame = measured(connect(), "packages")
    assert frame.array.shape == (48, 64)
    pixel_m = frame.header.pixel_size_m

    labelled = frame.to_xarray()
    assert labelled.dims == ("y", "x")
    assert float(labelled.x[3] - labelled.x[0]) == pytest.approx(3 * pixel_m)
    assert labelled.x.attrs["units"] == "m"
    assert labelled.attrs["session"] == "packages"

    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = frame.plot()
    assert axes.get_title().startswith("SIMULATED scope packages haadf")
    left, right, bottom, top = axes.images[0].get_extent()
    assert right - left == pytest.approx(64 * pixel_m * 1e9)
    assert bottom - top == pytest.approx(48 * pixel_m * 1e9)
    pyplot.close(axes.figure)

    assert "data:image/png;base64," in (frame._repr_html_() or "")


@pytest.mark.filterwarnings("ignore")  # HyperSpy's own, on import
def test_a_frame_becomes_a_hyperspy_signal(connect: Connect) -> None:
    pytest.importorskip("hyperspy.api", reason="HyperSpy (extra hyperspy, GPL) is not installed")
    frame = measured(connect(), "hyperspy")
    signal = frame.to_hyperspy()
    np.testing.assert_array_equal(signal.data, frame.array)
    x, y = signal.axes_manager.signal_axes
    assert (x.name, y.name, x.units, x.size, y.size) == ("x", "y", "m", 64, 48)
    assert x.scale == pytest.approx(frame.header.pixel_size_m)
    assert signal.original_metadata.eucentric.session == "hyperspy"


def test_the_countdown_tells_how_long_and_who_else_would_like_to(connect: Connect) -> None:
    ada, bob = connect(), connect("bob")
    assert line(ada) == "no lease"
    with ada.control(reason="align"):
        with pytest.raises(LeaseError, match="ada"), bob.control(reason="also"):
            pass
        told = line(ada)
        assert ada.lease_remaining_s is not None
    assert "you steer scope" in told
    assert "bob asks for it" in told


def test_the_lease_changes_hands_without_the_instrument_being_touched(connect: Connect) -> None:
    ada, bob = connect(), connect("bob")
    with ada.control(reason="align"):
        ada.set_defocus(3e-9)
        ada.unblank(max_duration_s=20)
        ada.offer_lease("bob")
        with bob.control(reason="my turn"):
            state = bob.state()
            assert not state.beam_blanked
            assert state.optics.defocus_m == pytest.approx(3e-9)
            with pytest.raises(LeaseError):
                ada.set_defocus(0.0)
            bob.blank()


def test_asynchronous_code_steers_as_well(machine: Machine) -> None:
    async def steer() -> tuple[int, ...]:
        async with await eucentric.connect_async("titan", config=machine.config, client="async") as scope:
            async with scope.control(reason="survey"):
                await scope.start_session("async")
                await scope.unblank(max_duration_s=10)
                frame, state = await asyncio.gather(scope.scan(height_px=64, width_px=64), scope.state())
                await scope.blank()
                await scope.stop_session()
            assert state.session == "async"
            return frame.array.shape

    assert asyncio.run(steer()) == (64, 64)


def test_asynchronous_code_has_every_verb() -> None:
    synchronous = {name for name in dir(eucentric.Scope) if not name.startswith("_")}
    of_the_scope_itself = {"countdown", "notice"}
    missing = synchronous - of_the_scope_itself - set(dir(eucentric.AsyncScope))
    assert missing == set()
    for name in synchronous - of_the_scope_itself - {"control", "lease_lost", "lease_remaining_s"}:
        assert inspect.iscoroutinefunction(getattr(eucentric.AsyncScope, name)), name
        assert inspect.signature(getattr(eucentric.AsyncScope, name)) == inspect.signature(
            getattr(eucentric.Scope, name)
        ), name


def test_asynchronous_code_sees_the_instrument_its_lease_and_its_limits(machine: Machine) -> None:
    async def look() -> None:
        async with await eucentric.connect_async("titan", config=machine.config, client="async") as scope:
            assert "SIMULATED" in scope._repr_html_()
            assert scope.capabilities.simulated
            async with scope.control(reason="limits"):
                assert (scope.lease_remaining_s or 0) > 0
                assert (await scope.stop_stage()).reported.x_m == 0
                assert "limits" in await scope.interlocks()
                assert (await scope.offer_lease("bob")).offered_to == "bob"
            assert scope.lease_lost is None

    asyncio.run(look())


def test_an_agent_that_listens_on_every_address_is_reached_from_its_own_machine() -> None:
    for host, reached in (
        (str(IPv4Address(0)), "127.0.0.1"),
        ("::", "::1"),
        ("titan.example.org", "titan.example.org"),
    ):
        settings = Settings(agent=AgentSettings(name="own", host=host))
        assert known_instruments(settings)["own"].host == reached


def test_after_a_broken_link_the_client_goes_on_with_its_lease(machine: Machine) -> None:
    with (
        Link(machine.settings.agent.control_port) as link,
        eucentric.connect("127.0.0.1", link.port, client="wanderer", config=machine.config) as scope,
        scope.control(reason="a long way off"),
    ):
        epoch = scope.lease().epoch
        scope.set_defocus(1e-9)
        link.cut()
        mender = threading.Timer(0.7, link.mend)
        mender.start()
        # The first attempts fail; the command is carried out once, under the same lease.
        assert scope.set_defocus(2e-9).commanded == 2e-9
        mender.join()
        assert scope.lease_lost is None
        assert (scope.lease().holder, scope.lease().epoch) == ("wanderer", epoch)


class Listening(eucentric.Scope):
    """A scope that keeps what the agent did on its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.heard: list[str] = []
        super().__init__(*arguments, **options)

    def notice(self, text: str) -> None:
        self.heard.append(text)


@pytest.mark.alone
def test_a_silent_link_costs_the_beam_and_the_holder_is_told(machine: Machine) -> None:
    with (
        Link(machine.settings.agent.control_port) as link,
        Listening(control_connections("127.0.0.1", link.port), client="wanderer") as scope,
        eucentric.connect("titan", config=machine.config, client="witness") as witness,
        scope.control(reason="a long way off"),
    ):
        scope.unblank(max_duration_s=60)
        link.fall_silent()
        deadline_s = time.monotonic() + 3.0
        while not witness.state().beam_blanked:
            assert time.monotonic() < deadline_s, "the beam stayed on after the link fell silent"
            time.sleep(0.05)
        link.mend()
        deadline_s = time.monotonic() + 30.0
        while not scope.heard:
            assert time.monotonic() < deadline_s, "the holder was not told"
            time.sleep(0.05)
        assert scope.lease_lost is None
    assert "wanderer" in scope.heard[0]
