"""The files that PostgreSQL and the reverse proxy read, as texts. Pure."""

from __future__ import annotations

from eucentric_core import ConfigurationError, Settings

from ._folder import HubFolder

__all__ = ["postgres_configuration", "postgres_hosts", "proxy_configuration"]


def postgres_configuration(settings: Settings, folder: HubFolder) -> str:
    """`postgresql.conf`. What a site changes goes into `postgresql.local.conf` beside it."""
    return f"""\
# Written by `eucentric hub init`. Changes of the site go into postgresql.local.conf, which wins.
listen_addresses = '127.0.0.1'
port = {settings.hub.server.postgres_port}
unix_socket_directories = ''
hba_file = '{_plain(str(folder.root / "pg_hba.conf"))}'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
log_min_duration_statement = '5s'
log_checkpoints = off
include_if_exists = '{_plain(str(folder.root / "postgresql.local.conf"))}'
"""


def postgres_hosts() -> str:
    """`pg_hba.conf`: loopback, with a password."""
    return """\
# Written by `eucentric hub init`.
# kind  database  user  from           how
host    all       all   127.0.0.1/32   scram-sha-256
"""


def proxy_configuration(settings: Settings, folder: HubFolder) -> str:
    """`nginx.conf`: TLS in front of the dashboard, Prefect, MLflow, and the signed releases."""
    server, dashboard = settings.hub.server, settings.dashboard
    certificate, key = (_plain(str(path)) for path in folder.certificate(settings))
    scratch = _plain(str(folder.proxy_scratch))
    releases = _plain(str(settings.releases_path))
    prefect = settings.hub.prefect_api_url.removesuffix("/").removesuffix("/api")
    parts = [
        _door(
            server.listen,
            server.dashboard_port,
            server.name,
            f"http://{dashboard.host}:{dashboard.port}",
            # Nothing in the releases is secret, and nothing is believed that is not signed.
            more=f"""
        location /releases/ {{
            alias "{releases}/";
            autoindex off;
            limit_except GET {{ deny all; }}
        }}
        location ~ ^/releases/(.*/)?\\. {{ return 404; }}""",
        ),
        _door(server.listen, server.prefect_port, server.name, prefect),
        # A bundle of networks is larger than a form.
        _door(server.listen, server.mlflow_port, server.name, settings.hub.mlflow_url, largest="4g"),
    ]
    return f"""\
# Written by `eucentric hub init`. Changes by hand are seen, and kept aside when this is written anew.
worker_processes auto;
pid "{scratch}/nginx.pid";
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    default_type application/octet-stream;
    access_log off;
    server_tokens off;
    client_body_temp_path "{scratch}/body";
    proxy_temp_path "{scratch}/proxy";
    fastcgi_temp_path "{scratch}/fastcgi";
    uwsgi_temp_path "{scratch}/uwsgi";
    scgi_temp_path "{scratch}/scgi";
    ssl_certificate "{certificate}";
    ssl_certificate_key "{key}";
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:2m;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    include "{_plain(str(folder.root))}/nginx.local*.conf";
{"".join(parts)}}}
"""


def _door(listen: str, port: int, name: str, upstream: str, *, largest: str = "16m", more: str = "") -> str:
    address = f"[{listen}]" if ":" in listen else listen
    return f"""
    server {{
        listen {address}:{port} ssl;
        server_name {name};
        client_max_body_size {largest};
        add_header Strict-Transport-Security "max-age=31536000" always;
        add_header X-Content-Type-Options nosniff always;
        location / {{
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $host:$server_port;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 3600s;
        }}{more}
    }}
"""


def _plain(text: str) -> str:
    """A path as both files can carry it between quotation marks."""
    if any(ord(character) < 32 or character in "\"'\\$" for character in text):
        raise ConfigurationError(
            f"{text!r} cannot be written into the files of PostgreSQL and nginx.",
            safe="nothing was written.",
            next_step="use a path without quotation marks, dollar and control characters.",
        )
    return text
