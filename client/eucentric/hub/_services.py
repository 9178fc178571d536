"""Each service of a hub: how it is started, and how one sees that it answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from urllib.parse import urlsplit

from eucentric_core import ConfigurationError, LocalServer, Settings, answers_ok

from ._databases import OWNER, connect_owner, ensure_databases
from ._folder import HubFolder
from ._postgres import drop_to, ensure_cluster, find_programs, postgres_account
from ._processes import living_service
from ._secrets import passwords, read_secret

__all__ = ["SERVICES", "Service", "is_ready", "program_version", "server_of"]

_CONNECT_S = 2.0
_NGINX = ("/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx")
_OURS = ("repository", "flows", "dashboard")


@dataclass(frozen=True, slots=True)
class Service:
    """A service: how to become it, and whether it answers.

    Args:
        prepare: makes what it needs (databases, folders) and says how to start it.
        ready: whether it answers now; never waits longer than a few seconds.
        version: of the program.
    """

    prepare: Callable[[Settings, HubFolder], LocalServer]
    ready: Callable[[Settings, HubFolder], bool]
    version: Callable[[Settings, HubFolder], str]


def server_of(name: str, settings: Settings, folder: HubFolder) -> LocalServer:
    """Make what a service needs, and say how to start it.

    Raises:
        ConfigurationError: something is missing that a person has to bring.
        ServiceUnavailableError: PostgreSQL does not answer.
    """
    return SERVICES[name].prepare(settings, folder)


def is_ready(name: str, settings: Settings, folder: HubFolder) -> bool:
    """Whether a service answers now."""
    return SERVICES[name].ready(settings, folder)


def program_version(name: str, settings: Settings, folder: HubFolder) -> str:
    """What is started, for example `15.14`."""
    return SERVICES[name].version(settings, folder)


def _environment(folder: HubFolder) -> dict[str, str]:
    return {"PGPASSFILE": str(folder.pgpass)}


def _postgres(settings: Settings, folder: HubFolder) -> LocalServer:
    programs = ensure_cluster(settings, folder, read_secret(folder, f"postgres-{OWNER}"))
    command = (
        *(programs.path("postgres"), "-D", str(folder.postgres_data)),
        *("-c", f"config_file={folder.postgres_configuration}"),
    )
    drop_to(postgres_account(settings))
    return LocalServer("postgres", command, {}, "", "")


def _postgres_answers(settings: Settings, folder: HubFolder) -> bool:
    import psycopg

    try:
        with closing(
            connect_owner(settings.hub.server.postgres_port, read_secret(folder, f"postgres-{OWNER}"))
        ):
            return True
    except psycopg.Error:
        return False


def _prefect(settings: Settings, folder: HubFolder) -> LocalServer:
    from eucentric_flows import prefect_server

    ensure_databases(settings, passwords(folder))
    server, settings_of_hub = prefect_server(settings), settings.hub.server
    page = {
        # What a browser is told to ask: the proxy, not this machine's loopback.
        "PREFECT_SERVER_UI_API_URL": f"https://{settings_of_hub.name}:{settings_of_hub.prefect_port}/api",
    }
    return replace(server, environment={**server.environment, **_environment(folder), **page})


def _mlflow(settings: Settings, folder: HubFolder) -> LocalServer:
    from eucentric_model_registry import mlflow_server_of

    ensure_databases(settings, passwords(folder))
    server = mlflow_server_of(settings)
    address = urlsplit(server.url)
    name = f"{settings.hub.server.name}:{settings.hub.server.mlflow_port}"
    asking = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder.secrets / "mlflow-auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": read_secret(folder, "mlflow-session-key"),
        # It refuses requests to other names, against pages that rebind a name to loopback.
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{address.netloc},localhost:{address.port},{name}",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"https://{name}",
    }
    return replace(
        server,
        # Every look at its health would be a line of its log.
        command=(*server.command, "--app-name", "basic-auth", "--uvicorn-opts", "--log-level warning"),
        environment={**server.environment, **_environment(folder), **asking},
    )


def _ours(name: str) -> Callable[[Settings, HubFolder], LocalServer]:
    def prepare(settings: Settings, folder: HubFolder) -> LocalServer:
        if name == "repository":
            ensure_databases(settings, passwords(folder))
        command = (sys.executable, "-m", "eucentric", name, "serve", "--config", str(folder.settings))
        return LocalServer(name, command, _environment(folder), "", "")

    return prepare


def _says_ready(name: str) -> Callable[[Settings, HubFolder], bool]:
    def ready(settings: Settings, folder: HubFolder) -> bool:
        path, started = settings.home / "run" / f"{name}.json", living_service(folder, name)
        if started is None:
            return False
        try:
            facts = json.loads(path.read_bytes())
            # A service that was killed leaves its file behind, and the next one may get its number.
            said_since = path.stat().st_mtime >= started.started_utc.timestamp()
            return said_since and int(facts["pid"]) == started.pid
        except (OSError, ValueError, KeyError, TypeError):
            return False

    return ready


def _proxy(settings: Settings, folder: HubFolder) -> LocalServer:
    for path in folder.certificate(settings):
        if not os.access(path, os.R_OK):
            raise ConfigurationError(
                f"The reverse proxy's file {path} cannot be read.",
                safe="the proxy was not started; the other services run on loopback.",
                next_step=f"`eucentric certs issue hub --server --host {settings.hub.server.name}`, or name "
                "a certificate of your site as hub.server.certificate (docs/hub.md).",
            )
    program = _nginx()
    if program is None:
        raise ConfigurationError(
            "nginx is not installed on this machine.",
            safe="the proxy was not started.",
            next_step="on Debian, as root: apt-get install nginx-light",
        )
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder.proxy_scratch / name).mkdir(parents=True, exist_ok=True)
    command = (program, "-p", str(folder.proxy_scratch), "-c", str(folder.proxy_configuration))
    return LocalServer("proxy", (*command, "-g", "daemon off;"), {}, "", "")


def _nginx() -> str | None:
    return next((place for place in _NGINX if os.access(place, os.X_OK)), None)


def _listens(settings: Settings, _folder: HubFolder) -> bool:
    server = settings.hub.server
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.listen, server.listen)  # noqa: S104 - not bound here
    try:
        socket.create_connection((host, server.dashboard_port), timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True


def _answers(url: Callable[[Settings], str]) -> Callable[[Settings, HubFolder], bool]:
    return lambda settings, _folder: answers_ok(url(settings))


def _mlflow_health(settings: Settings) -> str:
    return f"{settings.hub.mlflow_url}/health"


def _prefect_health(settings: Settings) -> str:
    return f"{settings.hub.prefect_api_url.rstrip('/')}/health"


def _of_package(name: str) -> Callable[[Settings, HubFolder], str]:
    return lambda _settings, _folder: version(name)


def _of_postgres(_settings: Settings, folder: HubFolder) -> str:
    return find_programs(folder.postgres_data).version


def _of_nginx(_settings: Settings, _folder: HubFolder) -> str:
    program = _nginx()
    if program is None:
        return ""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=30, check=False).stderr
    return said.strip().rpartition("/")[2]


SERVICES: Mapping[str, Service] = {
    "postgres": Service(_postgres, _postgres_answers, _of_postgres),
    "prefect": Service(_prefect, _answers(_prefect_health), _of_package("prefect")),
    "mlflow": Service(_mlflow, _answers(_mlflow_health), _of_package("mlflow")),
    **{name: Service(_ours(name), _says_ready(name), _of_package("eucentric")) for name in _OURS},
    "proxy": Service(_proxy, _listens, _of_nginx),
}
