"""A connection whose every wait ends: Pyro's own limits are per byte, and bytes can be dribbled."""

from __future__ import annotations

import math
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import Pyro5.errors
from cryptography import x509
from Pyro5.protocol import ReceivingMessage
from Pyro5.serializers import serializers
from Pyro5.socketutil import SocketConnection

from ._pyro_desk import Desk

__all__ = ["JSON_SERIALIZER_ID", "ControlConnection", "ServedConnection"]

JSON_SERIALIZER_ID: int = serializers["json"].serializer_id
_CORRELATION_ID = 1 << 6
_HEADER_BYTES = 40
_CHUNK_BYTES = 1 << 16
_SMALL_BYTES = 1 << 12


class ControlConnection(SocketConnection):  # type: ignore[misc]  # Pyro5 is untyped
    """Pyro's connection with one deadline for everything that follows, and a look at each message first.

    One thread talks over it; any thread may hang it up.
    """

    def __init__(self, sock: socket.socket, object_id: str | None = None) -> None:
        super().__init__(sock, object_id)
        self.sock: Any
        self._deadline_s = math.inf
        self._ahead = bytearray()
        self._closing_lock = threading.Lock()

    def peer_certificate(self) -> x509.Certificate:
        """What the other end has proven itself with; TLS contexts of this project always ask for it."""
        return x509.load_der_x509_certificate(self.sock.getpeercert(binary_form=True))

    def allow(self, duration_s: float, *, since_s: float | None = None) -> None:
        """Everything from here on must be over `duration_s` after `since_s` (monotonic; now by default)."""
        self._deadline_s = (time.monotonic() if since_s is None else since_s) + duration_s

    def left_s(self) -> float:
        """What is left of the time allowed.

        Raises:
            Pyro5.errors.TimeoutError: nothing.
        """
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise Pyro5.errors.TimeoutError("the time allowed is over")
        return left_s

    def start_tls(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        """Shake hands; from here on everything is encrypted.

        Args:
            context: whom to trust and what to show.
            server_name: whom a client wants to reach; a service gives none.

        Raises:
            Pyro5.errors.CommunicationError: the handshake failed (the TLS library's error is its cause), or
                the time is over.
        """
        left_s = self.left_s()
        try:
            with self._closing_lock:
                self.sock = context.wrap_socket(
                    self.sock,
                    server_side=server_name is None,
                    server_hostname=server_name,
                    do_handshake_on_connect=False,
                )
            self.sock.settimeout(left_s)  # for the whole handshake, not for each byte of it
            self.sock.do_handshake()
        except TimeoutError as error:
            raise Pyro5.errors.TimeoutError("TLS: the time allowed is over") from error
        except OSError as error:
            raise Pyro5.errors.ConnectionClosedError(f"TLS: {error}") from error

    def await_message(self, message_type: int, *, max_bytes: int, limit_s: float | None = None) -> None:
        """Wait until a message is here as a whole, for Pyro to read it from memory.

        Args:
            message_type: the only type that is accepted.
            max_bytes: checked before anything is allocated for it.
            limit_s: time for the message once its first byte is here; the deadline stays if not given.

        Raises:
            Pyro5.errors.CommunicationError: the connection ended, time is over, or this is no message
                that is accepted: JSON, uncompressed, without annotations, not one-way, not a batch.
        """
        if not self._ahead:
            self._receive()
        if limit_s is not None:
            self.allow(limit_s)
        while len(self._ahead) < _HEADER_BYTES:
            if len(self._ahead) >= 4:
                ReceivingMessage.validate(bytes(self._ahead))
            self._receive()
        header = ReceivingMessage(bytes(self._ahead[:_HEADER_BYTES]))
        if (
            header.type != message_type
            or header.serializer_id != JSON_SERIALIZER_ID
            or header.flags & ~_CORRELATION_ID
            or header.annotations_size
        ):
            raise Pyro5.errors.ProtocolError("a kind of message that is not accepted here")
        if header.data_size > max_bytes:
            raise Pyro5.errors.ProtocolError(f"message of {header.data_size} bytes, {max_bytes} are taken")
        while len(self._ahead) < _HEADER_BYTES + header.data_size:
            self._receive(_CHUNK_BYTES)

    def recv(self, size: int) -> bytes:
        """The next `size` bytes."""
        while len(self._ahead) < size:
            self._receive(_SMALL_BYTES if size <= _SMALL_BYTES else _CHUNK_BYTES)
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken

    def _receive(self, max_bytes: int = _SMALL_BYTES) -> None:
        left_s = self.left_s()
        try:
            self.sock.settimeout(left_s)
            chunk = self.sock.recv(max_bytes)
        except TimeoutError as error:
            raise Pyro5.errors.TimeoutError("receiving: the time allowed is over") from error
        except OSError as error:
            raise Pyro5.errors.ConnectionClosedError(f"receiving: {error}") from error
        if not chunk:
            raise Pyro5.errors.ConnectionClosedError("receiving: the other side has hung up")
        self._ahead += chunk

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            left_s = self.left_s()
            try:
                self.sock.settimeout(left_s)
                rest = rest[self.sock.send(rest) :]
            except TimeoutError as error:
                raise Pyro5.errors.TimeoutError("sending: the time allowed is over") from error
            except OSError as error:
                raise Pyro5.errors.ConnectionClosedError(f"sending: {error}") from error

    def is_readable(self) -> bool:
        """Whether bytes, or the end of the connection, are waiting to be read."""
        if hasattr(select, "poll"):  # unlike select, not limited to the first 1024 descriptors
            poller = select.poll()
            poller.register(self.sock.fileno(), select.POLLIN)
            return bool(poller.poll(0))
        return bool(select.select([self.sock], [], [], 0)[0])

    def other_end_is_gone(self) -> bool:
        """Whether the other end has hung up, asked from any thread."""
        with self._closing_lock:
            try:
                return self.is_readable() and not socket.socket.recv(self.sock, 1, socket.MSG_PEEK)
            except (OSError, ValueError):
                return True

    def hang_up(self) -> None:
        """End the connection from any thread; whoever waits on it is woken."""
        with self._closing_lock:
            try:
                # Not the TLS socket's own method: that one makes it a plain socket under its user's hands.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            except OSError:
                return  # the other side was faster, or it is closed already

    def close(self) -> None:
        """Hang up and give the socket back. For the thread that talks over it."""
        self.hang_up()
        with self._closing_lock:
            self.sock.close()


class ServedConnection(ControlConnection):
    """The server's end of a connection."""

    desk: Desk | None = None
    """What is open to the other end, once it is known who that is."""
    refusal_without_tls: bytes
    """The message for a client that speaks Pyro where TLS is expected."""

    def __init__(
        self, sock: socket.socket, address: str, before_answer: Callable[[ServedConnection], None]
    ) -> None:
        super().__init__(sock)
        self.address = address
        self._before_answer = before_answer

    def send(self, data: bytes) -> None:
        """Send an answer; its time begins when there is one, however long the method took."""
        if self.desk is not None:
            self._before_answer(self)
        super().send(data)

    def start_tls(self, context: ssl.SSLContext, server_name: str | None = None) -> None:
        """Shake hands; say why not where the other end can be told."""
        try:
            super().start_tls(context, server_name)
        except Pyro5.errors.ConnectionClosedError as error:
            # A client without TLS waits for words in its own protocol; others have been sent an alert.
            plain = getattr(error.__cause__, "reason", None) == "WRONG_VERSION_NUMBER"
            self._take_leave(self.refusal_without_tls if plain else b"")
            raise

    def _take_leave(self, last_words: bytes) -> None:
        # Closing while something of the other end lies unread would reset the connection, and with it throw
        # away the alert or words that tell what is wrong.
        try:
            self.sock.settimeout(self.left_s())
            socket.socket.send(self.sock, last_words)
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
            while socket.socket.recv(self.sock, _CHUNK_BYTES):
                self.sock.settimeout(self.left_s())
        except (OSError, Pyro5.errors.TimeoutError):
            return
