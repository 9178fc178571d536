"""The agent as a Windows service (pywin32). Written to the published interface; untested on Windows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from eucentric_core import UnsupportedError, configure_logging, load_settings, service_lifetime

__all__ = ["SERVICE_NAME", "install_windows_service", "service_class"]

SERVICE_NAME = "EucentricAgent"

_CONFIG_OPTION = "config"


def service_class() -> type[Any]:
    """The class that Windows' service manager starts.

    Raises:
        UnsupportedError: this is not Windows, or pywin32 is not installed.
    """
    manager = _require("win32serviceutil")

    class EucentricAgentService(manager.ServiceFramework):  # type: ignore[misc,name-defined]  # untyped
        """Runs the agent until Windows stops the service."""

        _svc_name_ = SERVICE_NAME
        _svc_display_name_ = "Eucentric agent"
        _svc_description_ = "Serves the microscope of this control PC."

        def SvcDoRun(self) -> None:  # noqa: N802  (pywin32's name)
            """Serve."""
            from .._agent import Agent

            config = manager.GetServiceCustomOption(SERVICE_NAME, _CONFIG_OPTION)
            settings = load_settings(Path(config) if config else None)
            agent = Agent(settings)
            agent.claim()
            configure_logging("agent", settings.logs)
            with service_lifetime("agent", settings.home) as lifetime, agent:
                self.lifetime = lifetime
                lifetime.announce_ready({"instrument": settings.agent.name})
                agent.supervise(lifetime.stopping)

        def SvcStop(self) -> None:  # noqa: N802  (pywin32's name)
            """Stop: beam blanked, session closed, everything published recorded."""
            self.ReportServiceStatus(_require("win32service").SERVICE_STOP_PENDING)
            self.lifetime.stopping.set()

    return EucentricAgentService


def install_windows_service(config: Path) -> str:
    """Install the service, started with the machine, and return its name.

    Raises:
        UnsupportedError: this is not Windows, or pywin32 is not installed.
    """
    manager, constants = _require("win32serviceutil"), _require("win32service")
    manager.InstallService(
        f"{__name__}.EucentricAgentService",
        SERVICE_NAME,
        "Eucentric agent",
        startType=constants.SERVICE_AUTO_START,
        description="Serves the microscope of this control PC.",
    )
    manager.SetServiceCustomOption(SERVICE_NAME, _CONFIG_OPTION, str(config))
    return SERVICE_NAME


def __getattr__(name: str) -> Any:
    # The service manager looks the class up by its dotted name; off Windows it does not exist.
    if name == "EucentricAgentService":
        return service_class()
    raise AttributeError(name)


def _require(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        where = "pywin32 is not installed" if sys.platform == "win32" else "this machine does not run Windows"
        raise UnsupportedError(
            f"A Windows service cannot be installed: {where}.",
            safe="nothing was installed.",
            next_step="on Windows: pip install pywin32; elsewhere this command writes a systemd unit.",
        ) from error
