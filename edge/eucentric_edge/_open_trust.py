"""From the settings to what this edge believes, and where it reads releases."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from eucentric_core import Settings, TrustedKeys
from eucentric_core.releases import HttpSource, ReleaseSource, ReleaseTrust
from eucentric_transfer import MoverOptions, open_mover

from ._bundle_trust import BundleTrust, KeyTrust, ReleasedTrust

__all__ = ["Releases", "open_releases", "open_trust"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Releases:
    """Signed releases: how they are verified, what decides by them, where they are read."""

    metadata: ReleaseTrust
    trust: ReleasedTrust
    source: ReleaseSource


def open_trust(settings: Settings) -> tuple[BundleTrust, Releases | None]:
    """What decides about bundles; with releases if this machine was given a root, else by keys alone.

    Raises:
        ConfigurationError: neither root nor keys are there, or one is damaged.
    """
    releases = open_releases(settings)
    if releases is not None:
        return releases.trust, releases
    _log.warning("no root metadata at %s: bundles are believed by keys alone", settings.trust_root_path)
    return KeyTrust(TrustedKeys.read(settings.trusted_keys_path)), None


def open_releases(settings: Settings) -> Releases | None:
    """The releases of this site; None where this machine was given no root.

    Raises:
        ConfigurationError: the root is damaged, or nothing reads such an address.
    """
    if not settings.trust_root_path.exists():
        return None
    metadata = ReleaseTrust(settings.home / "edge" / "releases", settings.trust_root_path)
    source = _source(settings)
    keys = settings.trusted_keys_path
    trusted = TrustedKeys.read(keys) if keys.exists() else None
    return Releases(metadata, ReleasedTrust(metadata, source, keys=trusted), source)


def _source(settings: Settings) -> ReleaseSource:
    address = settings.releases_address
    if urlsplit(address).scheme in ("http", "https"):
        return HttpSource(address)
    state = settings.home / "edge" / "movers"
    return open_mover(
        address,
        options=MoverOptions(state=state, s3=settings.s3, globus=settings.globus.within(settings.home)),
    )
