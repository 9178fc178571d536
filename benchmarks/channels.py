"""Control round trips over a shaped link while bulk data fill it, in a network of namespaces on this machine.

A link of 100 Mbit/s and one of 1 Gbit/s, 10 ms away. Over the second, hosts send pieces of 16 KiB, as a
network card takes them from its driver: 80,000 frames a second through five virtual devices fill this
machine's processors before they fill the link. Control is the product's own channel (mutual TLS); bulk
data are frames. Beside it, in the same run: plain Pyro5 with the frames through the proxy, and a
separate TCP connection that nothing holds back. A ratio is to the p99 over the same link while it is idle.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from _harness import arguments, quantile, report
from _netlab import HPC, OTHER, PC, Host, LabUnavailableError, NetworkLab, end, tell, wait_for_line

from eucentric.certs import Authority
from eucentric_core import Role, TlsSettings


class Link(NamedTuple):
    """The narrow place: its rate, and the pieces that hosts send over it (bytes; None: frames of 1514)."""

    rate_bit_s: float
    segment_bytes: int | None


LINKS = {"100mbit_10ms": Link(100e6, None), "1gbit_10ms": Link(1e9, 16 << 10)}
ROLES = str(Path(__file__).with_name("_netlab_roles.py"))
SIDE_PX = 1024
FRAME_BYTES = SIDE_PX * SIDE_PX * 2
FRACTION = 0.93
OTHERS_SHARE = 0.5
UNPACED_STREAMS = 4
CONTROL_PORT, DATA_PORT, DOOR_PORT = 4310, 4311, 4312
BULK_PORT, OTHER_PORT, PROXY_PORT = 4390, 4391, 4392
PERIOD_S = 0.01
PROXY_S = 10.0

Figures = dict[str, Any]


FIRST = ("chrt", "--rr", "1")
"""What is measured goes before all else on the lab's processors, idle and beside data, whoever's it is: two
cores play machines there that have their own. Where that is not allowed, `control_first` is false."""


class Program(NamedTuple):
    """A role of `_netlab_roles`, and the host that plays it."""

    host: Host
    role: str
    options: Figures

    @property
    def words(self) -> tuple[str, str]:
        """What the role is started with."""
        return self.role, json.dumps(self.options)

    @property
    def priority(self) -> tuple[str, ...]:
        """What its command begins with."""
        is_measured = self.role.startswith(("control_", "proxy_"))
        return FIRST if is_measured and may_go_first() else ()


@cache
def may_go_first() -> bool:
    """Whether this machine lets us give a program the processor before all others."""
    if shutil.which(FIRST[0]) is None:
        return False
    return subprocess.run([*FIRST, "true"], capture_output=True, check=False).returncode == 0


class Bench:
    """The lab with its control server, measured over one link after the other."""

    def __init__(self, lab: NetworkLab, folder: Path, *, duration_s: float) -> None:
        self._lab = lab
        self._duration_s = duration_s
        authority = Authority.create(folder / "authority", name="bench", days=60)
        server = authority.issue("agent", hosts=[lab.addresses[PC]], days=60)
        person = authority.issue("scientist", role=Role.SCIENTIST, days=60)
        self._client: subprocess.Popen[str] | None = None
        self._server_tls, self._client_tls = (
            TlsSettings(
                authority=issued.folder / "authority.pem",
                certificate=issued.folder / "certificate.pem",
                key=issued.folder / "key.pem",
            ).model_dump(mode="json")
            for issued in (server, person)
        )

    def start(self, *programs: Program) -> list[subprocess.Popen[str]]:
        """Start roles on their hosts, one after the other ready. Their imports go side by side."""
        started = [
            self._lab.start(program.host, [*program.priority, sys.executable, ROLES, *program.words])
            for program in programs
        ]
        for program, process in zip(programs, started, strict=True):
            tell(process)
            if (ready := wait_for_line(process)) != "ready":
                raise RuntimeError(f"{program.role} said {ready!r}")
        return started

    @contextmanager
    def running(self, *programs: Program) -> Iterator[list[subprocess.Popen[str]]]:
        """Roles, while the block runs."""
        processes = self.start(*programs)
        try:
            yield processes
        finally:
            for process in reversed(processes):
                end(process)

    def open_control(self) -> None:
        """The control channel and whoever calls it from the far end, until the lab is closed."""
        address = {"host": self._lab.addresses[PC], "port": CONTROL_PORT}
        _, self._client = self.start(
            Program(PC, "control_server", {**address, "tls": self._server_tls}),
            Program(HPC, "control_client", {**address, "tls": self._client_tls, "period_s": PERIOD_S}),
        )

    def round_trips_ms(self, *, longer: float = 1.0) -> list[float]:
        """Round trips of control from the far end, over the link as it is now; `longer` than usual."""
        if self._client is None:
            raise RuntimeError("the control channel is not open")
        tell(self._client, f"{longer * self._duration_s}")
        return [float(sample) for sample in json.loads(wait_for_line(self._client, timeout_s=120))]

    def beside_frames(
        self, link: Figures, *, settle_s: float, others_bit_s: float = 0.0, longer: float = 1.0
    ) -> tuple[list[float], float]:
        """Round trips while the data server sends frames, and their rate (bit/s)."""
        data = {"host": self._lab.addresses[PC], "port": DATA_PORT, "door_port": DOOR_PORT}
        there = {"host": self._lab.addresses[HPC], "port": OTHER_PORT}
        others = (
            Program(HPC, "bulk_sink", {**there, "streams": 1}),
            Program(OTHER, "other_traffic", {**there, "bit_s": others_bit_s}),
        )
        return self._beside(
            Program(PC, "frame_source", {**data, "tls": self._server_tls, "link": link, "side_px": SIDE_PX}),
            Program(HPC, "frame_sink", {**data, "tls": self._client_tls}),
            *(others if others_bit_s else ()),
            sink=1,
            settle_s=settle_s,
            longer=longer,
        )

    def beside_plain_tcp(self, *, settle_s: float) -> tuple[list[float], float]:
        """The same while separate TCP connections that nothing holds back fill the link."""
        bulk = {"host": self._lab.addresses[HPC], "port": BULK_PORT, "streams": UNPACED_STREAMS}
        return self._beside(
            Program(HPC, "bulk_sink", bulk),
            Program(PC, "bulk_source", {**bulk, "link": None}),
            sink=0,
            settle_s=settle_s,
        )

    def _beside(
        self, *programs: Program, sink: int, settle_s: float, longer: float = 1.0
    ) -> tuple[list[float], float]:
        """Round trips beside what one of the programs receives, and the rate of that."""
        with self.running(*programs) as processes:
            time.sleep(settle_s)
            tell(processes[sink])
            samples = self.round_trips_ms(longer=longer)
            tell(processes[sink])
            return samples, float(json.loads(wait_for_line(processes[sink]))["bit_s"])

    def through_proxy(self) -> tuple[list[float], float]:
        """The same with stock Pyro5, frames and control through one proxy."""
        address = {"host": self._lab.addresses[PC], "port": PROXY_PORT}
        with self.running(
            Program(PC, "proxy_server", {**address, "frame_bytes": FRAME_BYTES}),
            Program(HPC, "proxy_client", {**address, "duration_s": PROXY_S, "period_s": PERIOD_S}),
        ) as (_, client):
            answer = json.loads(wait_for_line(client, timeout_s=120))
            return answer["samples"], float(answer["bit_s"])


def measure(lab: NetworkLab, bench: Bench, link: Link) -> Figures:
    """All cases over one link."""
    rate_bit_s = link.rate_bit_s
    lab.send_segments(link.segment_bytes)
    fixed = {"mode": "fixed", "line_rate_bit_s": rate_bit_s, "fraction": FRACTION}
    knowing = {**fixed, "mode": "adaptive"}
    searching = {"mode": "adaptive"}
    off = {"mode": "off"}
    others_bit_s = OTHERS_SHARE * rate_bit_s

    lab.dumb(rate_bit_s)
    idle = bench.round_trips_ms()
    paced, paced_bit_s = bench.beside_frames(fixed, settle_s=2, longer=2)
    unpaced, unpaced_bit_s = bench.beside_plain_tcp(settle_s=4)
    known, known_bit_s = bench.beside_frames(knowing, settle_s=2)
    adaptive, adaptive_bit_s = bench.beside_frames(searching, settle_s=6)
    crossed, crossed_bit_s = bench.beside_frames(knowing, others_bit_s=others_bit_s, settle_s=4)
    crossed_fixed, _ = bench.beside_frames(fixed, others_bit_s=others_bit_s, settle_s=3)
    proxy, proxy_bit_s = bench.through_proxy()
    idle += bench.round_trips_ms()
    lab.honouring(rate_bit_s)
    marked, marked_bit_s = bench.beside_frames(off, settle_s=3)
    crossed_marked, crossed_marked_bit_s = bench.beside_frames(off, others_bit_s=others_bit_s, settle_s=3)

    p99_ms = quantile(idle, 0.99)

    def ratio(samples: list[float]) -> float:
        return quantile(samples, 0.99) / p99_ms

    return {
        "idle_p50_ms": quantile(idle, 0.5),
        "idle_p99_ms": p99_ms,
        "loaded_p50_ms": quantile(paced, 0.5),
        "loaded_p99_ms": quantile(paced, 0.99),
        "control_p99_ratio": ratio(paced),
        "bulk_fraction": paced_bit_s / rate_bit_s,
        "marked_p99_ratio": ratio(marked),
        "marked_bulk_fraction": marked_bit_s / rate_bit_s,
        "adaptive_known_p99_ratio": ratio(known),
        "adaptive_known_bulk_fraction": known_bit_s / rate_bit_s,
        "adaptive_p99_ratio": ratio(adaptive),
        "adaptive_bulk_fraction": adaptive_bit_s / rate_bit_s,
        "proxy_p99_ratio": ratio(proxy),
        "proxy_bulk_fraction": proxy_bit_s / rate_bit_s,
        "unpaced_p99_ratio": ratio(unpaced),
        "unpaced_bulk_fraction": unpaced_bit_s / rate_bit_s,
        "crossed_p99_ratio": ratio(crossed),
        "crossed_bulk_fraction": crossed_bit_s / rate_bit_s,
        "crossed_marked_p99_ratio": ratio(crossed_marked),
        "crossed_marked_bulk_fraction": crossed_marked_bit_s / rate_bit_s,
        "crossed_fixed_p99_ratio": ratio(crossed_fixed),
        "segment_bytes": link.segment_bytes or 0,
        "control_first": may_go_first(),
        "idle_samples": len(idle),
        "loaded_samples": len(paced),
        "samples_per_case": min(map(len, (unpaced, known, adaptive, crossed, crossed_fixed, marked))),
    }


def main() -> None:
    """Measure and report."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--link", choices=LINKS, action="append", help="measure this one; may be repeated")
    parser.add_argument(
        "--segment-bytes", type=int, help="pieces that hosts send, in place of the link's own; 0: frames"
    )
    options = parser.parse_args()
    chosen = options.link or list(LINKS)
    try:
        with NetworkLab() as lab, tempfile.TemporaryDirectory(prefix="bench-channels-") as folder:
            bench = Bench(lab, Path(folder), duration_s=3.0 if options.quick else 5.0)
            bench.open_control()
            links = {name: measure(lab, bench, _link(name, options.segment_bytes)) for name in chosen}
    except LabUnavailableError as error:
        print(f"skipped: {error}", file=sys.stderr)
        report({"skipped": str(error)}, as_json=options.json, packages=["Pyro5", "pyzmq"])
        return
    report({"links": links}, as_json=options.json, packages=["Pyro5", "pyzmq"])


def _link(name: str, segment_bytes: int | None) -> Link:
    link = LINKS[name]
    return link if segment_bytes is None else link._replace(segment_bytes=segment_bytes or None)


if __name__ == "__main__":
    main()
