"""A network in small on one machine: a control PC, a switch with a narrow uplink, and a machine far away.

Four Linux network namespaces joined by virtual cables; nothing in them reaches any real network:

    pc ------- switch ===uplink=== hpc
    other ----/                     |
      ^----------- delay line ------'        (all that comes back, to both)

The uplink is the only narrow place. It is a plain first-in first-out queue of a thousand frames, as in a
switch that looks at nothing, or puts packets marked EF before all others. The delay of the whole round trip
sits in the way back. Needs Linux, the right to make namespaces, `ip`, `tc`, a C compiler and `/dev/net/tun`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

__all__ = [
    "HPC",
    "OTHER",
    "PC",
    "Host",
    "LabUnavailableError",
    "NetworkLab",
    "end",
    "require_lab",
    "tell",
    "wait_for_line",
]

Host = Literal["pc", "switch", "other", "hpc"]
PC: Host = "pc"
OTHER: Host = "other"
HPC: Host = "hpc"

_PREFIX = "eulab"
_FRAME_BYTES = 1514
_QUEUE_FRAMES = 1000
_BURST_S = 0.0005
_SOURCE = Path(__file__).with_name("netlab_delay.c")
_STEP_TIMEOUT_S = 20.0


class LabUnavailableError(RuntimeError):
    """This machine cannot have a network lab; the message says why."""


class NetworkLab:
    """The network, while it is open. Removes what a lab that was killed has left.

    Args:
        delay_s: of the way back, and so of the round trip over the idle link.
        name: tells the labs of one process apart.

    Raises:
        LabUnavailableError: on entering, where namespaces cannot be made.
    """

    addresses: dict[str, str] = {"pc": "10.91.1.1", "other": "10.91.3.1", "hpc": "10.91.2.1"}

    def __init__(self, *, delay_s: float = 0.010, name: str = "lab") -> None:
        self._delay_s = delay_s
        self._cables: list[tuple[Host, str]] = []
        hosts = ("pc", "switch", "other", "hpc")
        self._names = {host: f"{_PREFIX}-{os.getpid()}-{name}-{host}" for host in hosts}
        self.folder = ""
        self._delay: subprocess.Popen[str] | None = None
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        require_lab()
        _sweep()
        self.folder = tempfile.mkdtemp(prefix="netlab-")
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process that was started here, and remove everything."""
        for process in self._running:
            end(process)
        if self._delay is not None:
            end(self._delay)
        for name in self._names.values():
            _run("ip", "netns", "del", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, host: Host, words: Sequence[str]) -> list[str]:
        """The command that runs `words` on a host."""
        return ["ip", "netns", "exec", self._names[host], *words]

    def start(self, host: Host, words: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program on a host; it is ended with the lab at the latest."""
        process = subprocess.Popen(
            self.command(host, words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._running.append(process)
        return process

    def start_python(self, host: Host, *words: str) -> subprocess.Popen[str]:
        """Start Python on a host."""
        return self.start(host, [sys.executable, *words])

    def send_segments(self, most_bytes: int | None) -> None:
        """Let hosts send pieces of so many bytes, which stay whole on the way; None: frames as on a wire.

        With frames of 1514 bytes this machine's processors are what is full at 1 Gbit/s, not the link. What
        waits for a piece waits longer, so no ratio gets better by it but what the processors cost.
        """
        state = "off" if most_bytes is None else "on"
        for host, device in self._cables:
            _run(*self.command(host, ["ethtool", "-K", device, "tso", state, "gso", state, "gro", "off"]))
            if most_bytes is not None:
                self._ip(host, "link", "set", device, "gso_max_size", str(most_bytes))

    def dumb(self, rate_bit_s: float) -> None:
        """The uplink has this rate and one queue for all."""
        self.wide()
        limit = _QUEUE_FRAMES * _FRAME_BYTES
        self._tc("switch", "qdisc", "replace", "dev", "up0", "root", "handle", "1:", "tbf",
                 "rate", f"{rate_bit_s:.0f}", "burst", self._burst(rate_bit_s),
                 "limit", str(limit))  # fmt: skip
        self._shape_way_back(rate_bit_s)

    def honouring(self, rate_bit_s: float) -> None:
        """The uplink has this rate, and packets marked EF go before all others."""
        self.wide()
        rate, burst = f"{rate_bit_s:.0f}", self._burst(rate_bit_s)
        bursts = ("burst", burst, "cburst", burst, "quantum", str(2 * _FRAME_BYTES))
        device = ("dev", "up0")
        self._tc("switch", "qdisc", "replace", *device, "root", "handle", "1:", "htb", "default", "20")
        self._tc("switch", "class", "add", *device, "parent", "1:", "classid", "1:1", "htb",
                 "rate", rate, "ceil", rate, *bursts)  # fmt: skip
        for minor, share, frames in ((10, 0.1, 200), (20, 0.9, _QUEUE_FRAMES)):
            self._tc("switch", "class", "add", *device, "parent", "1:1", "classid", f"1:{minor}", "htb",
                     "prio", str(minor // 10), "rate", f"{rate_bit_s * share:.0f}", "ceil", rate,
                     *bursts)  # fmt: skip
            self._tc("switch", "qdisc", "add", *device, "parent", f"1:{minor}", "handle", f"{minor}:",
                     "bfifo", "limit", str(frames * _FRAME_BYTES))  # fmt: skip
        self._tc("switch", "filter", "add", *device, "parent", "1:", "protocol", "ip", "prio", "1",
                 "u32", "match", "ip", "dsfield", "0xb8", "0xfc", "flowid", "1:10")  # fmt: skip
        # Who has which address is the switch's own business.
        self._tc("switch", "filter", "add", *device, "parent", "1:", "protocol", "arp", "prio", "2",
                 "u32", "match", "u32", "0", "0", "flowid", "1:10")  # fmt: skip
        self._shape_way_back(rate_bit_s)

    def wide(self) -> None:
        """The uplink is as fast as this machine."""
        self._tc("switch", "qdisc", "del", "dev", "up0", "root", check=False)
        self._tc("hpc", "qdisc", "del", "dev", "back0", "root", check=False)

    def queue(self, handle: str) -> dict[str, int]:
        """What a queue of the uplink has done: `packets` sent, `drops`, and more.

        `1:` is the only one of a plain switch; of one that honours marks, `10:` takes those marked EF and
        `20:` the others.
        """
        listed = json.loads(_run(*self.command("switch", ["tc", "-s", "-j", "qdisc", "show", "dev", "up0"])))
        found = next(queue for queue in listed if queue["handle"] == handle)
        return {key: value for key, value in found.items() if isinstance(value, int)}

    def _shape_way_back(self, rate_bit_s: float) -> None:
        self._tc("hpc", "qdisc", "replace", "dev", "back0", "root", "tbf", "rate", f"{rate_bit_s:.0f}",
                 "burst", self._burst(rate_bit_s), "limit", str(_QUEUE_FRAMES * _FRAME_BYTES))  # fmt: skip

    def _burst(self, rate_bit_s: float) -> str:
        return str(max(16_000, int(rate_bit_s / 8 * _BURST_S)))

    def _tc(self, host: Host, *words: str, check: bool = True) -> None:
        _run(*self.command(host, ["tc", *words]), check=check)

    def _ip(self, host: Host, *words: str) -> None:
        _run("ip", "-n", self._names[host], *words)

    def _build(self) -> None:
        hosts: tuple[Host, ...] = ("pc", "switch", "other", "hpc")
        for host in hosts:
            _run("ip", "netns", "add", self._names[host])
            self._set(host, "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
            self._ip(host, "link", "set", "lo", "up")
        cables: tuple[tuple[Host, str, str, int], ...] = (
            ("pc", "eth0", "pc0", 1), ("hpc", "eth0", "up0", 2), ("other", "eth0", "other0", 3)
        )  # fmt: skip
        for host, near, far, subnet in cables:
            _run("ip", "link", "add", near, "netns", self._names[host], "type", "veth",
                 "peer", "name", far, "netns", self._names["switch"])  # fmt: skip
            self._ip(host, "addr", "add", f"10.91.{subnet}.1/24", "dev", near)
            self._ip("switch", "addr", "add", f"10.91.{subnet}.254/24", "dev", far)
            ends: tuple[tuple[Host, str], ...] = ((host, near), ("switch", far))
            for end_host, device in ends:
                self._ip(end_host, "link", "set", device, "up")
                self._cables.append((end_host, device))
        self.send_segments(None)
        self._start_delay()
        for host in hosts:
            self._set(host, "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
                      "net.ipv4.conf.default.rp_filter=0", "net.ipv4.tcp_no_metrics_save=1")  # fmt: skip
        for host, device in (("pc", "front0"), ("pc", "eth0"), ("hpc", "eth0"), ("other", "eth0")):
            self._set(host, f"net.ipv4.conf.{device}.rp_filter=0")
        self._ip("hpc", "link", "set", "back0", "mtu", "1500", "txqueuelen", "10000", "up")
        self._ip("pc", "link", "set", "front0", "mtu", "1500", "up")
        self._ip("pc", "route", "add", "default", "via", "10.91.1.254")
        self._ip("other", "route", "add", "default", "via", "10.91.3.254")
        for subnet in (1, 3):
            self._ip(
                "hpc", "route", "add", f"10.91.{subnet}.0/24", "dev", "back0", "src", self.addresses["hpc"]
            )

    def _start_delay(self) -> None:
        program = str(Path(self.folder) / "delay")
        _run("gcc", "-O2", "-Wall", "-Wextra", "-o", program, str(_SOURCE))
        words = [
            program,
            self._names["hpc"],
            "back0",
            self._names["pc"],
            "front0",
            f"{self._delay_s * 1e6:.0f}",
        ]
        self._delay = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._delay.stdout is None or self._delay.stdout.readline().strip() != "ready":
            raise LabUnavailableError("the delay line did not start: is there a /dev/net/tun?")

    def _set(self, host: Host, *assignments: str) -> None:
        # Not every kernel has every one.
        _run(*self.command(host, ["sysctl", "-qw", *assignments]), check=False)


def end(process: subprocess.Popen[str]) -> None:
    """End a process and everything it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait(timeout=_STEP_TIMEOUT_S)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def require_lab() -> None:
    """Say whether there can be a lab here.

    Raises:
        LabUnavailableError: there cannot, and why.
    """
    if sys.platform != "linux":
        raise LabUnavailableError("only Linux has network namespaces")
    missing = [name for name in ("ip", "tc", "ethtool", "gcc", "sysctl") if shutil.which(name) is None]
    if missing:
        raise LabUnavailableError(f"missing here: {', '.join(missing)}")
    if not Path("/dev/net/tun").exists():
        raise LabUnavailableError("there is no /dev/net/tun")
    probe = f"{_PREFIX}-{os.getpid()}-probe"
    try:
        _run("ip", "netns", "add", probe)
    except subprocess.CalledProcessError as error:
        raise LabUnavailableError(f"no network namespace can be made: {error.stderr.strip()}") from error
    _run("ip", "netns", "del", probe)


def _sweep() -> None:
    for line in _run("ip", "netns", "list").splitlines():
        match = re.match(rf"({_PREFIX}-(\d+)-[\w-]+)", line)
        if match and not psutil.pid_exists(int(match[2])):
            _run("ip", "netns", "del", match[1], check=False)


def _run(*words: str, check: bool = True) -> str:
    outcome = subprocess.run(words, capture_output=True, text=True, timeout=_STEP_TIMEOUT_S, check=False)
    if check and outcome.returncode:
        raise subprocess.CalledProcessError(
            outcome.returncode, f"{' '.join(words)}: {outcome.stderr.strip()}", outcome.stdout, outcome.stderr
        )
    return outcome.stdout


def tell(process: subprocess.Popen[str], line: str = "") -> None:
    """Write a line to a process's standard input.

    Raises:
        RuntimeError: it has none.
    """
    if process.stdin is None:
        raise RuntimeError("the process has no input")
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def wait_for_line(process: subprocess.Popen[str], *, timeout_s: float = 30.0) -> str:
    """The next line a process prints.

    Raises:
        RuntimeError: it ended, or said nothing in time.
    """
    import select

    if process.stdout is None:
        raise RuntimeError("the process has no output")
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if select.select([process.stdout], [], [], 0.1)[0]:
            line = process.stdout.readline()
            if line:
                return line.strip()
            raise RuntimeError(f"the process ended with status {process.wait()}")
    raise RuntimeError(f"the process said nothing for {timeout_s:.0f} s")
