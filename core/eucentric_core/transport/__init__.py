"""How things pass between machines: small commands over Pyro5, arrays and events over ZeroMQ."""

from __future__ import annotations

from ._marking import kernel_pace, mark_bulk, mark_control
from ._network import find_free_port, require_loopback, require_port_free
from ._pacing import UNPACED, Pacer, PacerStatus, open_pacer
from ._pacing_measured import LinkMeasurement, read_link_measurement, write_link_measurement
from ._protocols import ControlClient, ControlServer, Method, Methods, MethodsFor, SubscriptionMode
from ._pyro import MAX_CONTROL_BYTES
from ._pyro_client import PyroControlClient
from ._pyro_server import ControlLimits, PyroControlServer
from ._rtt import RttProbe, round_trip_s
from ._zmq_message import EVENT_STREAM, StreamMessage
from ._zmq_publisher import StreamPublisher
from ._zmq_server import SUBSCRIPTION_EXPIRY_S, DataServer
from ._zmq_subscriber import StreamSubscriber

__all__ = [
    "EVENT_STREAM",
    "MAX_CONTROL_BYTES",
    "SUBSCRIPTION_EXPIRY_S",
    "UNPACED",
    "ControlClient",
    "ControlLimits",
    "ControlServer",
    "DataServer",
    "LinkMeasurement",
    "Method",
    "Methods",
    "MethodsFor",
    "Pacer",
    "PacerStatus",
    "PyroControlClient",
    "PyroControlServer",
    "RttProbe",
    "StreamMessage",
    "StreamPublisher",
    "StreamSubscriber",
    "SubscriptionMode",
    "find_free_port",
    "kernel_pace",
    "mark_bulk",
    "mark_control",
    "open_pacer",
    "read_link_measurement",
    "require_loopback",
    "require_port_free",
    "round_trip_s",
    "write_link_measurement",
]
