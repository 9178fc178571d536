"""Opening a client of an S3 store. The SDK is imported here, when it is needed."""

from __future__ import annotations

import importlib.util
import os
import stat
from pathlib import Path
from typing import Any

from eucentric_core import ConfigurationError, S3Settings

from .._mover import FarEndError

__all__ = ["open_client", "require_sdk"]

_OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def require_sdk() -> None:
    """Refuse an `s3://` address on a machine without the SDK, without importing it.

    Raises:
        ConfigurationError: boto3 is not installed.
    """
    if importlib.util.find_spec("boto3") is None:
        raise ConfigurationError(
            "boto3, which speaks to S3 stores, is not installed.",
            safe="nothing was opened.",
            next_step="pip install 'eucentric[s3]'",
        )


def open_client(settings: S3Settings) -> Any:
    """A client that signs every byte, keeps to its time-outs, and tries a request a bounded number of times.

    What the store verifies of each request is the SHA-256 of its body, which is part of the signature.

    Raises:
        FarEndError: the credentials file is missing or others may read it.
        botocore.exceptions.BotoCoreError: there is no such profile, or it is not complete.
    """
    import boto3.session
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(profile=settings.profile)
    if settings.credentials is not None:
        _require_private(settings.credentials)
        core.set_config_variable("credentials_file", str(settings.credentials))
        # A profile that is named wins over keys in the environment: the settings say which key is meant.
        core.set_config_variable("profile", settings.profile or "default")
    session = boto3.session.Session(botocore_session=core, region_name=settings.region)
    return session.client(
        "s3",
        endpoint_url=settings.endpoint,
        verify=None if settings.authority is None else str(settings.authority),
        config=Config(
            signature_version="s3v4",
            s3={
                "addressing_style": "path" if settings.path_style else "virtual",
                "payload_signing_enabled": True,
            },
            # Stores other than Amazon's refuse the newer checksum trailers, which are the default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "total_max_attempts": settings.attempts},
            connect_timeout=settings.connect_timeout_s,
            read_timeout=settings.read_timeout_s,
            max_pool_connections=settings.connections + 1,
            tcp_keepalive=True,
        ),
    )


def _require_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise FarEndError(
            f"The credentials file {path} cannot be read: {error.strerror or error}.",
            safe="nothing was sent; the source is kept.",
            next_step="write it, readable by this service alone; it is tried again.",
        ) from error
    if os.name == "posix" and mode & _OTHERS_MAY_READ:
        raise FarEndError(
            f"The credentials file {path} can be read by others.",
            safe="it was not used, nothing was sent; the source is kept.",
            next_step=f"chmod 600 {path}; and make a new key if somebody may have seen this one.",
        )
