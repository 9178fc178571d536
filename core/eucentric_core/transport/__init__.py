"""How things pass between machines: small commands over Pyro5, arrays and events over ZeroMQ."""

from __future__ import annotations

from ._curve_access import DATA_OPEN, ChannelAccess, DataAccess, OwnAccess
from ._curve_keys import KEY_VALID_S, DataOpening, KeyRing, PublicKey
from ._free_ports import find_free_port
from ._heap import keep_freed_memory
from ._key_keeper import KeyAdmission, KeyKeeper
from ._keyed_service import KeyedService
from ._marking import kernel_pace, mark_bulk, mark_control
from ._network import require_loopback, require_port_free
from ._pacing import UNPACED, Pacer, PacerStatus, open_pacer
from ._pacing_measured import LinkMeasurement, read_link_measurement, write_link_measurement
from ._protocols import ControlClient, ControlServer, Method, Methods, MethodsFor, SubscriptionMode
from ._pyro import MAX_CONTROL_BYTES
from ._pyro_client import PyroControlClient
from ._pyro_server import ControlLimits, PyroControlServer
from ._rtt import RttProbe, link_probe, round_trip_s
from ._zmq_message import EVENT_STREAM, StreamMessage
from ._zmq_publisher import StreamPublisher
from ._zmq_server import SUBSCRIPTION_EXPIRY_S, DataServer
from ._zmq_status import DataServerStatus, SubscriberStatus
from ._zmq_subscriber import StreamSubscriber

__all__ = [
    "DATA_OPEN",
    "EVENT_STREAM",
    "KEY_VALID_S",
    "MAX_CONTROL_BYTES",
    "SUBSCRIPTION_EXPIRY_S",
    "UNPACED",
    "ChannelAccess",
    "ControlClient",
    "ControlLimits",
    "ControlServer",
    "DataAccess",
    "DataOpening",
    "DataServer",
    "DataServerStatus",
    "KeyAdmission",
    "KeyKeeper",
    "KeyRing",
    "KeyedService",
    "LinkMeasurement",
    "Method",
    "Methods",
    "MethodsFor",
    "OwnAccess",
    "Pacer",
    "PacerStatus",
    "PublicKey",
    "PyroControlClient",
    "PyroControlServer",
    "RttProbe",
    "StreamMessage",
    "StreamPublisher",
    "StreamSubscriber",
    "SubscriberStatus",
    "SubscriptionMode",
    "find_free_port",
    "keep_freed_memory",
    "kernel_pace",
    "link_probe",
    "mark_bulk",
    "mark_control",
    "open_pacer",
    "read_link_measurement",
    "require_loopback",
    "require_port_free",
    "round_trip_s",
    "write_link_measurement",
]
