"""Which drivers there are, by the name that settings use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from eucentric_core import (
    AgentSettings,
    ConfigurationError,
    Frame,
    Instrument,
    installed_names,
    load_installed,
)

__all__ = ["FrameSink", "known_drivers", "open_driver"]

FrameSink = Callable[[Frame], None]
"""Where a driver hands its frames. It may block: that is how a slow recorder slows the acquisition."""


def _open_twin(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .twin import DigitalTwin, TwinOptions

    return DigitalTwin(settings.name, TwinOptions.from_settings(settings.driver), sink)


def _open_replay(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .replay import ReplayInstrument, ReplayOptions

    return ReplayInstrument(settings.name, ReplayOptions.from_settings(settings.driver), sink)


def _open_usim(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .usim import UsimInstrument, UsimOptions

    return UsimInstrument(settings.name, UsimOptions.from_settings(settings.driver), sink)


def _open_temscript(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .temscript import TemscriptOptions, open_temscript

    return open_temscript(settings.name, TemscriptOptions.from_settings(settings.driver), sink)


def _open_pyjem(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .pyjem import PyjemOptions, open_pyjem

    return open_pyjem(settings.name, PyjemOptions.from_settings(settings.driver), sink)


def _open_autoscript(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .autoscript import AutoscriptOptions, open_autoscript

    return open_autoscript(settings.name, AutoscriptOptions.from_settings(settings.driver), sink)


def _open_watchfolder(settings: AgentSettings, sink: FrameSink) -> Instrument:
    from .watchfolder import WatchfolderInstrument, WatchfolderOptions

    return WatchfolderInstrument(settings.name, WatchfolderOptions.from_settings(settings.driver), sink)


_DRIVERS: Mapping[str, Callable[[AgentSettings, FrameSink], Instrument]] = MappingProxyType(
    {
        "autoscript": _open_autoscript,
        "pyjem": _open_pyjem,
        "replay": _open_replay,
        "temscript": _open_temscript,
        "twin": _open_twin,
        "usim": _open_usim,
        "watchfolder": _open_watchfolder,
    }
)


_GROUP = "eucentric.drivers"
"""Other packages add theirs to this group of entry points: a function of settings and sink, as above."""


def known_drivers() -> tuple[str, ...]:
    """Names that `open_driver` accepts."""
    return tuple(sorted({*_DRIVERS, *installed_names(_GROUP)}))


def open_driver(settings: AgentSettings, sink: FrameSink) -> Instrument:
    """Open the instrument that the settings name. Opening moves nothing and leaves the beam blanked.

    Args:
        settings: `instrument` is the driver's name, `driver` its options, `name` what to call the instrument.
        sink: receives every frame, from the driver's scan thread.

    Raises:
        ConfigurationError: there is no such driver, or an option is missing, unknown or out of bounds.
        EucentricError: the instrument cannot be opened; the error says why.
    """
    opener = _DRIVERS.get(settings.instrument)
    if opener is None and settings.instrument in installed_names(_GROUP):
        opener = load_installed(
            _GROUP,
            settings.instrument,
            kind="a driver",
            needs="install what that package needs.",
            is_one=callable,
            refuse=_unusable,
        )
    if opener is None:
        raise _unusable(
            f"There is no driver named {settings.instrument!r}.",
            f"set agent.instrument to one of {', '.join(known_drivers())}.",
        )
    return opener(settings, sink)


def _unusable(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="no instrument was touched.", next_step=next_step)
