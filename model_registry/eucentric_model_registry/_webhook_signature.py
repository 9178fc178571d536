"""Whether a request is what MLflow signed, now, and was not heard before. No side effects but memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping

__all__ = ["HintRefusedError", "SignatureCheck", "signature_of"]

_SIGNATURE, _TIMESTAMP, _DELIVERY = "x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id"
_VERSION = "v1"
_MAX_AGE_S = 300.0
_MAX_REMEMBERED = 1024
_MAX_HEADER = 200


class HintRefusedError(Exception):
    """The request is none that MLflow signed for this receiver. Never leaves this room."""


class SignatureCheck:
    """Accepts a request once: right key, made within the last five minutes, and not seen before.

    The rule is MLflow's, after Standard Webhooks: HMAC-SHA256 over `delivery id.timestamp.body`, in base64
    behind `v1,`.

    Args:
        secret: shared with MLflow.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._seen: OrderedDict[str, None] = OrderedDict()

    def accept(self, headers: Mapping[str, str], body: bytes, *, now_s: float) -> None:
        """Check one request, and remember its delivery id.

        Args:
            headers: by name in lower case.
            body: as it was received.
            now_s: Unix time.

        Raises:
            HintRefusedError: it is not to be acted upon; the message says why.
        """
        signature, timestamp, delivery = (
            headers.get(name, "")[:_MAX_HEADER] for name in (_SIGNATURE, _TIMESTAMP, _DELIVERY)
        )
        if not (signature and delivery and timestamp.isascii() and timestamp.isdigit()):
            raise HintRefusedError("it is not signed")
        expected = signature_of(self._secret, delivery, timestamp, body)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise HintRefusedError("its signature does not fit")
        if abs(now_s - int(timestamp)) > _MAX_AGE_S:
            raise HintRefusedError("it is older than five minutes, or the clocks differ")
        if delivery in self._seen:
            raise HintRefusedError("it was received before")
        self._seen[delivery] = None
        # Of what is forgotten after that many, five minutes keep a repeat out.
        while len(self._seen) > _MAX_REMEMBERED:
            self._seen.popitem(last=False)


def signature_of(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """The signature that MLflow puts beside a body."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"
