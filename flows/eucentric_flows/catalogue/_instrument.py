"""What flows that acquire share: the instrument, its lease, progress, and a way out that leaves it safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

from pydantic import Field

from eucentric_agents.procedures import Procedure, Progress, run
from eucentric_core import (
    ConfigurationError,
    Identifier,
    InstrumentSettings,
    Settings,
    SteeringClient,
    connect,
)

from .._pipeline import Say
from ._spec import FlowRequest, Running

__all__ = ["InstrumentRequest", "acquire", "instrument_of", "steering"]

_LONGEST_LEASE_S = 120.0
_AFTER_S = 0.1

_Outcome = TypeVar("_Outcome")


class InstrumentRequest(FlowRequest):
    """A flow that steers an instrument."""

    instrument: Annotated[
        Identifier | None, Field(description="By its name in the settings. Empty: this machine's own.")
    ] = None


def instrument_of(settings: Settings, request: InstrumentRequest) -> str:
    """The instrument's name."""
    return request.instrument or settings.agent.name


@contextmanager
def steering(settings: Settings, name: str, *, reason: str) -> Iterator[SteeringClient]:
    """Hold the lease of an instrument; however the block ends, the lease is released.

    The lease that an earlier attempt at the same, known by its reason, has left behind is waited out.

    Raises:
        ConfigurationError: no instrument of that name is known.
        LeaseError: somebody else steers it.
        ServiceUnavailableError: nobody answers there.
    """
    own = settings.agent
    here = InstrumentSettings(host=own.reachable_host, control_port=own.control_port, data_port=own.data_port)
    known = {own.name: here, **settings.instruments}
    if name not in known:
        raise ConfigurationError(
            f"No instrument named {name!r} is known here.",
            safe="nothing was sent.",
            next_step=f"use one of {', '.join(sorted(known))}, or add [instruments.{name}] to the settings.",
        )
    address = known[name]
    client = settings.client.name or "flows"
    with connect(
        address.host,
        address.control_port,
        client=client,
        data_port=address.data_port,
        credentials=settings.client.tls,
    ) as scope:
        _outlast(scope, client, reason)
        with scope.control(reason=reason):
            yield scope


def _outlast(scope: SteeringClient, client: str, reason: str) -> None:
    """A process that was killed could not release its lease, and nobody renews it any more."""
    deadline_s = time.monotonic() + _LONGEST_LEASE_S
    while time.monotonic() < deadline_s:
        left = scope.lease()
        if (left.holder, left.reason) != (client, reason):
            return
        time.sleep(min(left.remaining_s + _AFTER_S, 1.0))


def acquire(
    running: Running,
    request: InstrumentRequest,
    procedure: Procedure[_Outcome],
    keep: Callable[[_Outcome], str],
) -> str:
    """Run a procedure on the request's instrument, and keep what it found. Says what that is.

    A run that goes on after a crash exposes nothing a second time: finished steps are in `checkpoint`. When
    it is cancelled, or fails, the scan is stopped, the beam blanked, the probe parked and the lease released.

    Args:
        running: the run.
        request: which instrument.
        procedure: what to do with it.
        keep: writes the outcome down and says what it was, in a sentence.
    """
    name = instrument_of(running.settings, request)

    def stage(say: Say) -> str:
        def tell(progress: Progress) -> None:
            say(f"{progress.step} of {progress.steps}: {progress.message}")

        reason = f"flow {procedure.name}, run {running.run.trigger_id}"
        say(f"waiting for the lease of {name}")
        running.folder.mkdir(parents=True, exist_ok=True)
        with steering(running.settings, name, reason=reason) as scope:
            outcome = run(procedure, scope, checkpoint=running.folder / "checkpoint", progress=tell)
        sentence = keep(outcome)
        say(sentence)
        return sentence

    return running.run_stage("acquire", stage)
