"""MLflow's telemetry is off wherever a registry is asked, without anybody having set anything."""

from __future__ import annotations

import os
import subprocess
import sys

from eucentric_core.transport import find_free_port

_ASK = """
import sys
from eucentric_core import TrustedKeys
from eucentric_model_registry import Registry, RegistryUnavailableError

try:
    Registry(sys.argv[1], TrustedKeys(keys={}), timeout_s=1).champion("atoms")
except RegistryUnavailableError:
    pass
from mlflow.telemetry import get_telemetry_client
print("telemetry:", get_telemetry_client())
"""


def test_asking_a_registry_starts_no_telemetry() -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    # No answer comes from there: an attempt to send something would not leave this machine, either.
    environment |= {"HTTPS_PROXY": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, f"http://127.0.0.1:{find_free_port()}"],
        env=environment, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert "telemetry: None" in asked.stdout, asked.stdout
