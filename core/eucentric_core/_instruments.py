"""Several instruments at one hub: the settings as each instrument and each model sees them. Pure."""

from __future__ import annotations

from ._settings import InstrumentSettings, Settings

__all__ = ["settings_by_instrument", "settings_for_model"]


def settings_by_instrument(settings: Settings) -> dict[str, Settings]:
    """Settings with agent and edge of each instrument, by its name; the one of `[agent]` comes first."""
    found = {settings.agent.name: settings}
    for name, where in settings.instruments.items():
        if name not in found and not _is_own(where, settings):
            found[name] = _seen_from(settings, name, where)
    return found


def settings_for_model(settings: Settings, model: str) -> Settings:
    """Settings whose edge is the one that serves a model.

    The machine's own edge where it serves it, else that of the first instrument whose edge does; unchanged
    where none does.
    """
    seen = settings_by_instrument(settings).values()
    return next((one for one in seen if one.edge.model == model), settings)


def _is_own(where: InstrumentSettings, settings: Settings) -> bool:
    agent = settings.agent
    return (where.host, where.control_port) == (agent.host, agent.control_port)


def _seen_from(settings: Settings, name: str, where: InstrumentSettings) -> Settings:
    agent = settings.agent.model_copy(
        update={
            "name": name,
            "host": where.host,
            "control_port": where.control_port,
            "data_port": where.data_port,
        }
    )
    edge = settings.edge.model_copy(update=where.edge.model_dump())
    return settings.model_copy(update={"agent": agent, "edge": edge})
