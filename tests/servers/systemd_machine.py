"""A machine of its own for tests: Debian's systemd as process 1 of namespaces, on an overlay of this root.

It sees every program and file of this machine, keeps what it writes in memory, has a network of its own, and
is gone without a trace when it is switched off. It may neither set the kernel's variables nor see devices.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import eucentric_core
from eucentric_core import ManagedProcess

__all__ = ["SystemdMachine", "systemd_machine"]

_SYSTEMD = Path("/lib/systemd/systemd")
_PROGRAMS = ("unshare", "nsenter", "mount", "chroot", "ip", "systemctl", "setpriv")
_TARGET = "basic.target"
_TIMEOUT_S = 600.0
_ROOM = "4g"

_NAMESPACES = ("--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup", "--net", "--kill-child")

# $1: folder for what is written; $2: the target to reach.
_BOOT = f"""
set -eu
mount --make-rprivate /
mount -t tmpfs -o size={_ROOM} machine "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay machine -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
ip link set lo up
hostname machine
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
touch dev/console
mount --bind /dev/null dev/console
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
exec chroot . /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    {_SYSTEMD} --system --unit="$2"
"""


def _unified_hierarchy() -> Path | None:
    """Where control groups of version 2 are mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return Path(place)
    return None


def _why_no_machine() -> str:
    """The reason why none can be had here; empty where one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces with a systemd in them want root on Linux"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing or not _SYSTEMD.exists():
        return f"not installed: {', '.join(missing) or 'systemd'}"
    hierarchy = _unified_hierarchy()
    if hierarchy is None or not os.access(hierarchy / "cgroup.procs", os.W_OK):
        return "there are no control groups of version 2 that may be written to"
    tried = subprocess.run(
        ["unshare", *_NAMESPACES, "mount", "-t", "proc", "proc", "/proc"], capture_output=True, text=True
    )
    return f"namespaces are refused here: {tried.stderr.strip()}" if tried.returncode else ""


class SystemdMachine:
    """A machine that runs.

    Args:
        process: the one outside that holds it.
    """

    def __init__(self, process: ManagedProcess) -> None:
        self._process = process

    @property
    def _first(self) -> int | None:
        """systemd itself, as this machine numbers it."""
        try:
            children = psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            return None
        return next((child.pid for child in children if child.name() == "systemd"), None)

    def run(self, *words: str, user: str = "root", statuses: tuple[int, ...] = (0,)) -> str:
        """Run a command inside; returns what it printed, if its exit status is as wanted.

        Args:
            words: program and arguments.
            user: who runs it.
            statuses: that it may end with.
        """
        first = self._first
        if first is None:
            raise RuntimeError(f"the machine is off: {self._process.log.read_text()}")
        enter = ["nsenter", f"--target={first}", "--all", "--root", "--wd=/"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        done = subprocess.run(
            [*enter, *clean, *become, *words], capture_output=True, text=True, timeout=_TIMEOUT_S
        )
        if done.returncode not in statuses:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={what}", "--value").strip()

    def add_account(self, name: str, home: Path) -> None:
        """Make an account of the system that can run this Python and these packages."""
        # Where they lie may be closed to others: opened on that machine alone.
        for place in {Path(sys.executable).resolve(), Path(sys.prefix), Path(eucentric_core.__file__)}:
            for folder in place.parents:
                self.run("chmod", "o+x", str(folder))
        words = f"useradd --system --user-group --create-home --home-dir {home} {name}"
        self.run("sh", "-c", f"id {name} || {words}")

    def write(self, path: Path, content: str, *, user: str) -> None:
        """Write a file that its owner alone may read."""
        self.run("sh", "-c", 'umask 077; printf %s "$2" > "$1"', "sh", str(path), content, user=user)

    def cut_power(self) -> None:
        """End every process in it at once."""
        if (first := self._first) is not None:
            os.kill(first, signal.SIGKILL)

    def has_booted(self) -> bool:
        """Whether it reached its target."""
        if self._first is None:
            return False
        said = self.run("systemctl", "is-system-running", statuses=(0, 1)).strip()
        return said in ("running", "degraded")


@pytest.fixture
def systemd_machine(nightly: None, tmp_path: Path) -> Iterator[SystemdMachine]:
    """A machine that runs; skips by day, and where none can be had."""
    if reason := _why_no_machine():
        pytest.skip(reason)
    with _running_machine(tmp_path / "machine") as made:
        yield made


@contextmanager
def _running_machine(folder: Path, *, target: str = _TARGET) -> Iterator[SystemdMachine]:
    """Switch a machine on, and off at the end.

    Args:
        folder: a new folder, for the log and as a place to mount on.
        target: of systemd, that it boots into.
    """
    hierarchy = _unified_hierarchy()
    if hierarchy is None:
        raise RuntimeError(_why_no_machine())
    disk = folder / "disk"
    disk.mkdir(parents=True)
    group = hierarchy / f"eucentric-machine-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    into = f'echo $$ > "{group}/cgroup.procs"; exec unshare "$@"'
    command = ["sh", "-c", into, "sh", *_NAMESPACES, "sh", "-c", _BOOT, "boot", str(disk), target]
    process = ManagedProcess("machine", command, log=folder / "machine.log")
    machine = SystemdMachine(process)
    try:
        process.wait_ready(machine.has_booted, timeout_s=_TIMEOUT_S)
        yield machine
    finally:
        machine.cut_power()
        process.stop()
        _remove(group)


def _remove(group: Path) -> None:
    """Once its processes are gone, which the kernel ends with the first of them."""
    deadline = time.monotonic() + _TIMEOUT_S
    while group.exists():
        try:
            for inner in sorted(group.glob("**/"), key=lambda path: len(path.parts), reverse=True):
                inner.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
