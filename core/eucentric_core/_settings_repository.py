"""What the data repository is told: where it keeps what, who may read it, and how long it keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field, model_validator

from ._model import FrozenModel, Identifier
from ._settings_hosts import is_loopback, reachable_host
from ._settings_tls import TlsSettings

__all__ = ["RepositorySettings", "RetentionRule"]

_Port = Annotated[int, Field(ge=1, le=65535)]
_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
_Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:+-]{0,63}$")]
_Address = Annotated[str, Field(min_length=1, max_length=1000)]
_SECRET_PARAMETERS = frozenset({"password", "passfile", "sslpassword"})


def without_password(url: str) -> str:
    return _without_password(url, "postgresql+psycopg")


def without_asyncpg_password(url: str) -> str:
    return _without_password(url, "postgresql+asyncpg")


def _without_password(url: str, scheme: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != scheme or not parts.path.strip("/"):
        raise ValueError(f"give {scheme}://user@host:port/database")
    # Settings are printed by `eucentric config show` and land in logs; a password has no place in them.
    if parts.password is not None or _SECRET_PARAMETERS & {key for key, _ in parse_qsl(parts.query)}:
        raise ValueError(
            "a password has no place in it: use database_password_file, ~/.pgpass or the environment"
        )
    return url


class RetentionRule(FrozenModel):
    """How long data sets of one kind are kept. The first rule that fits a data set counts.

    A rule fits where everything it names fits. Without a rule that fits, a data set is kept for ever.

    Args:
        name: how the rule is called when a deletion is explained.
        tag: fits data sets with this tag; so do `material`, `instrument` and `simulated`.
        keep: `forever`; for `days` after the data set was complete; or until `copies` confirmed copies lie
            in the repository's archives.
        days: how long, for `keep = "days"`; with `keep = "until_copied"` at least so long.
        copies: confirmed copies in archives without which nothing is deleted.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    tag: _Tag | None = None
    material: Identifier | None = None
    instrument: Identifier | None = None
    simulated: bool | None = None
    keep: Literal["forever", "days", "until_copied"] = "forever"
    days: Annotated[float, Field(ge=0, le=36525)] | None = None
    copies: Annotated[int, Field(ge=0, le=16)] = 0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.keep == "days" and self.days is None:
            raise ValueError("keep = 'days' needs days")
        if self.keep == "until_copied" and self.copies < 1:
            raise ValueError("keep = 'until_copied' needs copies of 1 or more")
        if self.keep == "forever" and (self.days is not None or self.copies):
            raise ValueError("keep = 'forever' takes neither days nor copies")
        return self


class RepositorySettings(FrozenModel):
    """The catalogue of data sets.

    Args:
        root: folder of shards, receipts and quarantine; `<home>/repository` by default.
        database: `postgresql+psycopg://user@host:port/name` without a password; None for a SQLite file in
            the root.
        database_password_file: file that holds nothing but the password, readable by this user alone.
        inbox: address such as `s3://bucket/prefix` that agents ship to when they do not reach the root.
        metadata_schema: JSON Schema that `eucentric data annotate` checks a site's own metadata against.
        archives: addresses where confirmed second copies may lie.
        retention: rules of `eucentric data prune`; without rules nothing is ever deleted.
        http_port: where data are read over HTTP; None for not at all.
        http_host: address the HTTP door listens on; one that leaves the machine needs `tls`.
        tls: files for mutual TLS of the HTTP door, and of both channels where `host` leaves the machine;
            without them those stay on it.
        http_max_response_bytes: largest answer with array data.
    """

    name: Identifier = "repository-1"
    host: str = "127.0.0.1"
    control_port: _Port = 4330
    data_port: _Port = 4331
    root: _AbsolutePath | None = None
    database: Annotated[str, AfterValidator(without_password)] | None = None
    database_password_file: _AbsolutePath | None = None
    inbox: _Address | None = None
    metadata_schema: _AbsolutePath | None = None
    archives: tuple[_Address, ...] = ()
    retention: tuple[RetentionRule, ...] = ()
    http_port: _Port | None = None
    http_host: str = "127.0.0.1"
    tls: TlsSettings | None = None
    http_max_response_bytes: Annotated[int, Field(ge=1 << 20, le=4 << 30)] = 256 << 20

    @model_validator(mode="after")
    def _copies_can_be(self) -> Self:
        places = len(set(self.archives))
        for rule in self.retention:
            if rule.copies > places:
                raise ValueError(
                    f"retention rule {rule.name!r} wants {rule.copies} copies, and archives names {places}: "
                    "name as many archives, or nothing would ever be deleted"
                )
        return self

    @model_validator(mode="after")
    def _closed_door(self) -> Self:
        if self.http_port is not None and self.tls is None and not is_loopback(self.http_host):
            raise ValueError("http_host leaves the machine: give tls, so that both sides prove who they are")
        return self

    @property
    def channel_tls(self) -> TlsSettings | None:
        """Files for mutual TLS of both channels; None: they have no keys, and stay on the machine."""
        return None if is_loopback(self.host) else self.tls

    @property
    def reachable_host(self) -> str:
        """Where this machine reaches its own repository."""
        return reachable_host(self.host)
