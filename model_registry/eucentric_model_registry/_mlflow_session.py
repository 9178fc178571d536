"""One MLflow server behind bounded requests and typed errors. MLflow is imported when it is first asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from eucentric_core import read_login

from ._errors import RegistryError, RegistryUnavailableError, UnknownVersionError
from ._mlflow_library import import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["MlflowSession"]

_RETRIES = 2
_BACKOFF_FACTOR = 1
_SERVER_FAILURES = range(500, 600)


class MlflowSession:
    """A client of one server, named explicitly: neither a global tracking URI nor an active run is used.

    Args:
        url: tracking and registry URI.
        login_file: holds name and password where the server asks for them (`hub.mlflow_login_file`).
        timeout_s: for each request; a request is tried three times.
    """

    def __init__(self, url: str, *, timeout_s: int, login_file: Path | None = None) -> None:
        self._url = url
        self._login_file = login_file
        self._timeout_s = timeout_s
        self._client: MlflowClient | None = None

    @contextmanager
    def asking(self, what: str) -> Iterator[MlflowClient]:
        """A client whose failures inside the block become typed errors.

        Raises:
            RegistryUnavailableError: no answer, or a failure of the server.
            UnknownVersionError: there is no such model or version.
            RegistryError: MLflow refused.
        """
        import_mlflow()
        import requests
        from mlflow.exceptions import MlflowException

        if self._client is None:
            self._client = self._connect()
        try:
            yield self._client
        except requests.RequestException as error:
            raise self._unavailable(what, error) from error
        except MlflowException as error:
            # MLflow wraps the transport's exception without naming it as the cause.
            if isinstance(error.__context__, requests.RequestException):
                raise self._unavailable(what, error.__context__) from error
            status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
            if status in _SERVER_FAILURES:
                raise self._unavailable(what, error) from error
            kind = UnknownVersionError if error.error_code == "RESOURCE_DOES_NOT_EXIST" else RegistryError
            raise kind(
                f"MLflow refused to {what}: {error.message}.",
                safe="aliases are as `eucentric models ls` shows them.",
                next_step="check the name and version against `eucentric models ls`.",
            ) from error

    def _connect(self) -> MlflowClient:
        # MLflow takes its time-outs from the environment only; what an operator has set there wins.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(self._timeout_s))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(_RETRIES))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", str(_BACKOFF_FACTOR))
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        # Standard output belongs to the command that was typed, which may print JSON there.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        if self._login_file is not None:
            login = read_login(self._login_file, setting="hub.mlflow_login_file")
            os.environ["MLFLOW_TRACKING_USERNAME"] = login.user
            os.environ["MLFLOW_TRACKING_PASSWORD"] = login.password
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._url, registry_uri=self._url)

    def _unavailable(self, what: str, error: BaseException) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"MLflow at {self._url} did not answer the request to {what}: {type(error).__name__}.",
            safe="edges serve on without it; aliases are unchanged unless the next look shows otherwise.",
            next_step="check that MLflow runs (`eucentric doctor`), then repeat the request; that is safe.",
        )
