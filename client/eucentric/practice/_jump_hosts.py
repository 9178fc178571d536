"""Machines that only forward connections: real OpenSSH servers of this user, on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from eucentric_core import ManagedProcess, UnsupportedError, write_atomic
from eucentric_core.transport import find_free_port

__all__ = ["JumpHosts"]

_TIMEOUT_S = 60.0
_NEEDED = ("sshd", "ssh", "ssh-keygen")
_SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host-key
AuthorizedKeysFile {folder}/authorized-keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
X11Forwarding no
PermitTTY no
AllowTcpForwarding local
PermitOpen {targets}
ForceCommand /bin/false
"""
_CLIENT = """
Host {name}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {known}
    HostKeyAlias {name}
    StrictHostKeyChecking yes
    BatchMode yes
"""


class JumpHosts:
    """A login node, and a gateway behind it that lets nothing through but the ports it is told.

    Args:
        targets: ports of this machine that the gateway may open.

    Raises:
        UnsupportedError: OpenSSH is not installed here.
        ServiceUnavailableError: a server did not come up.
    """

    def __init__(self, targets: Sequence[int]) -> None:
        programs = {name: _program(name) for name in _NEEDED}
        self.folder = Path(tempfile.mkdtemp(prefix="eu-jump-"))
        self.ssh = programs["ssh"]
        self.config = self.folder / "ssh-config"
        self._processes: list[ManagedProcess] = []
        try:
            self._start(programs, targets)
        except BaseException:
            self.close()
            raise

    def tunnel(self, forwards: Mapping[int, int]) -> ManagedProcess:
        """`ssh -N -L … gateway` through the login node, once every forwarded port is open.

        Args:
            forwards: port of this machine to port behind the gateway.

        Raises:
            ServiceUnavailableError: ssh ended; names its log.
        """
        options = [part for near, far in forwards.items() for part in ("-L", f"{near}:127.0.0.1:{far}")]
        process = ManagedProcess(
            "ssh",
            [self.ssh, "-F", str(self.config), "-N", "-o", "ExitOnForwardFailure=yes", *options, "gateway"],
            log=self.folder / "tunnel.log",
        )
        self._processes.append(process)
        process.wait_ready(lambda: all(map(_listens, forwards)), timeout_s=_TIMEOUT_S)
        return process

    def close(self) -> None:
        """Stop the tunnels and the servers, and remove keys and logs."""
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, programs: Mapping[str, str], targets: Sequence[int]) -> None:
        key = self.folder / "key"
        _make_key(programs["ssh-keygen"], key)
        gateway_port, login_port = find_free_port(), find_free_port()
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Where root's sshd drops its privileges; Debian makes it when the service starts.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config, known = [], self.folder / "known-hosts"
        known.touch()
        for name, port, opens in (
            ("login", login_port, [gateway_port]),
            ("gateway", gateway_port, list(targets)),
        ):
            folder = self.folder / name
            folder.mkdir()
            _make_key(programs["ssh-keygen"], folder / "host-key")
            shutil.copy(key.with_suffix(".pub"), folder / "authorized-keys")
            with known.open("a", encoding="utf-8") as hosts:
                hosts.write(f"{name} {(folder / 'host-key.pub').read_text(encoding='utf-8')}")
            allowed = " ".join(f"127.0.0.1:{target}" for target in opens)
            write_atomic(
                folder / "config", _SERVER.format(port=port, folder=folder, targets=allowed).encode()
            )
            user = getpass.getuser()
            config.append(_CLIENT.format(name=name, port=port, user=user, key=key, known=known))
            process = ManagedProcess(
                f"sshd of {name}",
                [programs["sshd"], "-D", "-e", "-f", str(folder / "config")],
                log=folder / "sshd.log",
            )
            self._processes.append(process)
            process.wait_ready(partial(_listens, port), timeout_s=_TIMEOUT_S)
        config[-1] = config[-1].rstrip() + "\n    ProxyJump login\n"
        write_atomic(self.config, "".join(config).encode())


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise UnsupportedError(
            f"The program {name} is not installed here.",
            safe="nothing was started.",
            next_step="install OpenSSH (on Debian: openssh-server and openssh-client).",
        )
    return found


def _make_key(program: str, path: Path) -> None:
    subprocess.run(
        [program, "-q", "-t", "ed25519", "-N", "", "-C", "practice", "-f", str(path)], check=True, timeout=60
    )


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
