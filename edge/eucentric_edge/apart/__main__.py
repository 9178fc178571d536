"""`python -m eucentric_edge.apart DESCRIPTOR`: the nursery of an edge, which starts it."""

from __future__ import annotations

import socket
import sys

from ._nursery_process import run_nursery

run_nursery(socket.socket(fileno=int(sys.argv[1])))
