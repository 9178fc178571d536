"""Steer an instrument and look at what it sees.

Start an agent first (`eucentric agent run`), then:

    python examples/steer.py --host 127.0.0.1 --control-port 4310 --data-port 4311

From another machine name the settings with your certificate, too: `--config`, with a section `[client.tls]`.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import eucentric


def steer(scope: eucentric.SteeringClient, viewer: eucentric.StreamSubscriber) -> list[eucentric.Frame]:
    """Move the stage, defocus, and take three frames. Works on any instrument that can do these."""
    frames: list[eucentric.Frame] = []
    with scope.control(reason="example"):  # the lease: nobody else steers meanwhile
        move = scope.move_stage(x_m=10e-9)
        print(f"stage: told {move.commanded.x_m:.2e} m, says {move.reported.x_m:.2e} m")
        scope.set_defocus(5e-9)
        # A session's name is used once; frames are recorded under it from here on.
        scope.start_session(f"example-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        scope.unblank(max_duration_s=30)
        scope.stream(eucentric.ScanStream(height_px=256, width_px=256, max_frames=3))
        while len(frames) < 3 and (message := viewer.receive(timeout_s=10)) is not None:
            frames.append(message.frame())
            viewer.acknowledge()
        scope.blank()
        scope.stop_session()
    return frames


def main() -> None:
    """Connect, steer, and say what came."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--control-port", type=int, default=4310)
    parser.add_argument("--data-port", type=int, default=4311)
    parser.add_argument("--config", help="settings file, for your certificate")
    arguments = parser.parse_args()

    with (
        eucentric.connect(
            arguments.host,
            arguments.control_port,
            client="example",
            data_port=arguments.data_port,
            config=arguments.config,
        ) as scope,
        scope.subscribe(["haadf"], mode="lossless") as viewer,
    ):
        viewer.wait_subscribed(timeout_s=10)
        simulated = " (SIMULATED)" if scope.capabilities.simulated else ""
        print(f"connected to {scope.capabilities.instrument}{simulated}")
        for frame in steer(scope, viewer):
            header = frame.header
            print(
                f"frame {header.sequence}: {header.shape} pixels of {header.pixel_size_m * 1e12:.1f} pm, "
                f"defocus {(header.optics.defocus_m or 0) * 1e9:.1f} nm, mean {frame.array.mean():.3g}"
            )


if __name__ == "__main__":
    main()
