"""Every driver as the contract suite sees it: opened in this process, or behind an agent of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
import pytest
from pydantic import JsonValue

from eucentric_agents import Agent, open_driver
from eucentric_core import (
    AgentSettings,
    Capabilities,
    Frame,
    FrozenModel,
    Role,
    Settings,
    SteeringClient,
    connect,
)
from eucentric_core.transport import StreamSubscriber, find_free_port
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    Command,
    CommandResult,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SessionStart,
    SessionStop,
    SimulationDrift,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StageTilt,
    StateGet,
)

from .rig import SMALL, Opened, OpenInstrument, wait_for_scan

__all__ = ["BENCHES", "ENDLESS", "SCAN", "WIRE", "Bench", "examples", "new_session", "open_bench"]

WIRE = " over the wire"
_NEEDS = {"usim": "nion.usim_device", "temscript": "temscript"}

CONTRACT = "EUCENTRIC_CONTRACT"
"""Environment variable that names a JSON file about somebody else's driver, which is tested in place of ours:
`driver`, `options`, `shape` that it can scan, `field_of_view_m` that it can have (docs/drivers.md)."""


class OthersDriver(FrozenModel):
    """A driver that another package brings under `eucentric.drivers`."""

    driver: str
    options: dict[str, JsonValue] = {}
    shape: tuple[int, int] = (64, 64)
    field_of_view_m: float = 1e-7


OTHERS = (
    OthersDriver.model_validate_json(Path(os.environ[CONTRACT]).read_bytes())
    if CONTRACT in os.environ
    else None
)

BENCHES: tuple[str, ...] = (
    "twin",
    "replay",
    "temscript",
    "temscript STEM",
    "pyjem",
    "autoscript",
    "watchfolder",
    "twin" + WIRE,
    "usim" + WIRE,
    "temscript" + WIRE,
    "temscript STEM" + WIRE,
)
"""usim's stack runs in a process of its own and nowhere else."""

if OTHERS is not None:
    BENCHES = (OTHERS.driver, OTHERS.driver + WIRE)

SCAN = ScanAcquire(height_px=64, width_px=64)
ENDLESS = ScanStream(height_px=64, width_px=64, max_frames_per_s=20)

Sink = Callable[[Frame], None]


def new_session(sample: str | None = None) -> SessionStart:
    """A session of a name that nobody has used; an agent takes none twice."""
    return SessionStart(session=f"s-{uuid4().hex}", sample=sample)


def examples(capabilities: Capabilities, field_of_view_m: float = 1e-7) -> tuple[Command, ...]:
    """One command of each verb, in an order in which an instrument that has them all can obey."""
    camera = capabilities.cameras[0] if capabilities.cameras else "none"
    spectrometer = capabilities.spectrometers[0] if capabilities.spectrometers else "none"
    return (
        StateGet(),
        new_session(),
        SCAN,
        ScanAbort(),
        StageGet(),
        StageMove(x_m=1e-9),
        StageMoveBy(dx_m=1e-9),
        StageTilt(alpha_rad=0.01),
        StageStop(),
        OpticsFieldOfView(field_of_view_m=field_of_view_m),
        OpticsDefocus(defocus_m=1e-9),
        OpticsStigmator(x_m=1e-9, y_m=-1e-9),
        OpticsScanRotation(rotation_rad=0.1),
        ColumnValve(open=True),
        BeamUnblank(max_duration_s=30),
        BeamShift(x_m=1e-9, y_m=0.0),
        AutoFocus(),
        BeamPark(y_fraction=0.5, x_fraction=0.5),
        BeamBlank(),
        SimulationDrift(over_frames=2),
        CameraAcquire(camera=camera, exposure_s=0.05),
        SpectrumAcquire(spectrometer=spectrometer, exposure_s=0.05),
        ScanStream(height_px=64, width_px=64, max_frames=1),
        SessionStop(),
    )


@dataclass(frozen=True)
class Bench:
    """A driver to be tested.

    Args:
        driver: its name.
        wired: whether an agent and a control channel lie between.
        shape: a shape of frame that it can scan.
        field_of_view_m: a field of view that it can have.
        open: opens the instrument; what is put on the stack is undone after the test. Its frames go to
            the sink, or are kept where there is none.
    """

    driver: str
    wired: bool
    shape: tuple[int, int]
    field_of_view_m: float
    open: Callable[[ExitStack, Sink | None], Opened]


class WiredInstrument:
    """An `Instrument` at the other end of a control channel.

    Args:
        scope: a client that holds the lease.
    """

    def __init__(self, scope: SteeringClient) -> None:
        self._scope = scope

    @property
    def capabilities(self) -> Capabilities:
        return self._scope.capabilities

    def execute(self, command: Command) -> CommandResult:
        return self._scope.execute(command)

    def abort(self) -> None:
        self._scope.abort_scan()

    def safe_state(self) -> None:
        self._scope.safe_stop()

    def close(self) -> None:
        self._scope.close()


@contextmanager
def open_bench(name: str, folder: Path) -> Iterator[Bench]:
    """The bench of that name; skips where an optional package is not installed."""
    kind = name.removesuffix(WIRE)
    driver = kind.split()[0]
    package = _NEEDS.get(driver)
    if package is not None and not _installed(package):
        pytest.skip(f"the optional package {package} is not installed")
    if name.endswith(WIRE):
        with ExitStack() as started:
            options = _stem_options(started) if kind == "temscript STEM" else _options(driver, folder)
            settings = _machine(driver, options, folder)
            started.enter_context(Agent(settings))
            shape, field_of_view_m = ((64, 64), 1e-7) if driver == "temscript" else ((64, 48), 3e-9)
            if OTHERS is not None:
                shape, field_of_view_m = OTHERS.shape, OTHERS.field_of_view_m
            yield Bench(driver, True, shape, field_of_view_m, lambda stack, _sink: _far(settings, stack))
    elif OTHERS is not None:
        shape, options = OTHERS.shape, dict(OTHERS.options)
        width_m = OTHERS.field_of_view_m
        yield Bench(driver, False, shape, width_m, lambda stack, sink: _beside(stack, sink)(driver, options))
    elif driver in ("twin", "replay"):
        options = _options(driver, folder)
        yield Bench(driver, False, (64, 48), 3e-9, lambda stack, sink: _beside(stack, sink)(driver, options))
    else:
        with _vendors_bench(name, driver, folder) as bench:
            yield bench


@contextmanager
def _vendors_bench(name: str, driver: str, folder: Path) -> Iterator[Bench]:
    # Needs temscript, which is optional.
    from .vendors import openers

    def open_it(stack: ExitStack, sink: Sink | None) -> Opened:
        opener = getattr(openers, f"open_{driver}")
        own = folder / uuid4().hex
        own.mkdir()
        return cast(Opened, opener(_beside(stack, sink), own))

    if name == "temscript STEM":
        with openers.temscript_server(openers.StemMicroscope()) as address:
            yield Bench(
                driver,
                False,
                (openers.FRAME_PX, openers.FRAME_PX),
                1e-7,
                lambda stack, sink: openers.open_temscript_stem(_beside(stack, sink), address),
            )
    elif driver == "watchfolder":
        yield Bench(driver, False, (64, 48), 1e-7, open_it)
    else:
        yield Bench(driver, False, (openers.FRAME_PX, openers.FRAME_PX), 1e-7, open_it)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _stem_options(started: ExitStack) -> dict[str, Any]:
    # Needs temscript, which is optional.
    from .vendors import openers

    address = started.enter_context(openers.temscript_server(openers.StemMicroscope()))
    return {"address": address, "arrival": openers.AT_ONCE, **openers.TEMSCRIPT_STEM}


def _machine(driver: str, options: dict[str, Any], folder: Path) -> Settings:
    return Settings(
        home=folder / "home",
        agent=AgentSettings(
            name="scope",
            instrument=driver,
            driver=options,
            control_port=find_free_port(),
            data_port=find_free_port(),
            loopback_role=Role.OPERATOR,
            min_free_bytes=0,
        ),
    )


def _options(driver: str, folder: Path) -> dict[str, Any]:
    if OTHERS is not None:
        return dict(OTHERS.options)
    if driver == "replay":
        recording = folder / "series.npy"
        np.save(recording, np.random.default_rng(0).integers(0, 999, (7, 64, 48), dtype=np.uint16))
        return {"path": str(recording), "pixel_size_m": 2e-11, "repeat": True}
    if driver == "temscript":
        return {"simulated": True, "arrival": {"settle_time_s": 0.0, "timeout_s": 5.0}}
    if driver == "usim":
        return {**SMALL, "seed": 3}
    return {**SMALL, "seed": 3, "stage": {"speed_m_per_s": 1e-6, "settle_time_s": 0.0}}


def _beside(stack: ExitStack, sink: Sink | None) -> OpenInstrument:
    def opener(driver: str, options: dict[str, Any]) -> Opened:
        frames: list[Frame] = []
        settings = AgentSettings(name="scope", instrument=driver, driver=options)
        instrument = open_driver(settings, frames.append if sink is None else sink)
        stack.callback(instrument.close)
        return Opened(instrument, frames)

    return opener


def _far(settings: Settings, stack: ExitStack) -> Opened:
    agent = settings.agent
    frames: list[Frame] = []
    subscriber = stack.enter_context(StreamSubscriber(agent.host, agent.data_port, mode="lossless"))
    subscriber.wait_subscribed(5.0)
    done = threading.Event()

    def receive() -> None:
        while not done.is_set():
            message = subscriber.receive(0.05)
            if message is not None:
                subscriber.acknowledge()
                if message.stream != "events":
                    frames.append(message.frame())

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    stack.callback(receiver.join)
    stack.callback(done.set)
    # Entered first, left last: a test may have closed its own client.
    stack.callback(_tidy, agent.host, agent.control_port)
    scope = stack.enter_context(connect(agent.host, agent.control_port, client="contract"))
    stack.enter_context(scope.control(reason="contract"))
    return Opened(WiredInstrument(scope), frames)


def _tidy(host: str, control_port: int) -> None:
    with connect(host, control_port, client="tidy") as scope:
        scope.safe_stop()
        wait_for_scan(WiredInstrument(scope))
        if scope.state().session is not None:
            with scope.control(reason="tidy up"):
                scope.stop_session()
