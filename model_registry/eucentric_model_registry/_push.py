"""Push: from an alias that moved in MLflow to edges that look, beside whatever else is done."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import EucentricError, Settings, TrustedKeys

from ._courier import Courier
from ._errors import RegistryUnavailableError
from ._keys import read_secret, write_new
from ._mlflow_session import MlflowSession
from ._push_receiver import receiving_hints
from ._registry import Registry

if TYPE_CHECKING:
    from mlflow.entities.webhook import WebhookEvent, WebhookEventStr

__all__ = ["pushing", "webhook_secret"]

WEBHOOK = "eucentric-push"
_RETRY_S = 30.0
_JOIN_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


@contextmanager
def pushing(settings: Settings, *, retry_s: float = _RETRY_S) -> Iterator[None]:
    """Have edges look when MLflow says that an alias has moved, and note in the catalogue what they serve.

    MLflow may be down: the webhook is made when it answers. Without `hub.push_port` nothing is received,
    and only what serves is noted.

    Args:
        settings: of the hub.
        retry_s: between two tries to make the webhook.

    Raises:
        ConfigurationError: the port is in use.
    """
    trusted = settings.trusted_keys_path
    hub = settings.hub
    registry = (
        Registry(hub.mlflow_url, TrustedKeys.read(trusted), login_file=hub.mlflow_login_file)
        if trusted.exists()
        else None
    )
    courier = Courier(settings, None if registry is None else registry.deployments)
    with ExitStack() as stack:
        stack.enter_context(_beside(courier.run, courier.stop, "courier"))
        if hub.push_port is not None:
            secret = webhook_secret(settings)
            port = stack.enter_context(receiving_hints(hub.push_port, secret, courier.hint))
            url = hub.push_url or f"http://127.0.0.1:{port}/"
            stopping = threading.Event()

            def keep_webhook() -> None:
                while not stopping.is_set() and not _made(hub.mlflow_url, url, secret, hub.mlflow_login_file):
                    stopping.wait(retry_s)

            stack.enter_context(_beside(keep_webhook, stopping.set, "push-webhook"))
        yield


def webhook_secret(settings: Settings) -> str:
    """What this hub and MLflow share, made at the first call (mode 0600). It lets nobody install anything.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    path: Path = settings.signing_key_path.with_name("webhook-secret")
    if not path.exists():
        write_new(path, secrets.token_urlsafe(32).encode(), mode=0o600)
    return read_secret(path)


def make_webhook(mlflow_url: str, url: str, secret: str, login_file: Path | None = None) -> None:
    """Have MLflow report every alias that moves; one webhook, whoever calls this how often.

    Raises:
        RegistryUnavailableError: MLflow does not answer.
        RegistryError: it refuses, for example an address that it must not call.
    """
    session = MlflowSession(mlflow_url, timeout_s=10, login_file=login_file)
    with session.asking("make the webhook of this hub") as client:
        events: list[WebhookEventStr | WebhookEvent] = ["model_version_alias.created"]
        existing, token = [], None
        while True:
            page = client.list_webhooks(max_results=100, page_token=token)
            existing += [webhook for webhook in page if webhook.name == WEBHOOK]
            if not (token := page.token):
                break
        for webhook in existing[1:]:
            client.delete_webhook(webhook.webhook_id)
        if existing:
            client.update_webhook(
                existing[0].webhook_id,
                url=url,
                events=["model_version_alias.created"],
                secret=secret,
                status="ACTIVE",
            )
        else:
            client.create_webhook(WEBHOOK, url, events, secret=secret)


def _made(mlflow_url: str, url: str, secret: str, login_file: Path | None) -> bool:
    try:
        make_webhook(mlflow_url, url, secret, login_file)
    except RegistryUnavailableError:
        return False
    except EucentricError as error:
        _log.warning(
            "MLflow makes no webhook to %s (%s): edges look by themselves. An MLflow elsewhere needs "
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES and MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS (docs/registry.md)",
            url,
            error.what,
        )
    else:
        _log.info("MLflow reports to %s when an alias moves", url)
    return True


@contextmanager
def _beside(run: Callable[[], None], stop: Callable[[], object], name: str) -> Iterator[None]:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(timeout=_JOIN_TIMEOUT_S)
