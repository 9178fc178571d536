"""What people do with flows and policies, whether they type it or press a button. Imports without Prefect.

Each function is one intention, carries the name of the person who has it, and says in a typed error what it
cannot do. The command line and the dashboard both call these and nothing else.
"""

from __future__ import annotations

from .._policy_references import check_policy_text
from ._approvals import answer_firing, awaiting
from ._estimate import FlowEstimate, estimate_flow, estimate_lines
from ._files import find_policy, policy_text, take_into_use
from ._past import back_test_policy, back_test_sentence, usual_run_s
from ._requests import FILLED_IN, flow_named, refused_request, request_of
from ._runs import cancel_run, order_flow, resume_run
from ._switching import (
    PolicyStanding,
    fire_policy,
    pause_policies,
    policy_pause,
    policy_standings,
    resume_policies,
    switch_policy,
)

__all__ = [
    "FILLED_IN",
    "FlowEstimate",
    "PolicyStanding",
    "answer_firing",
    "awaiting",
    "back_test_policy",
    "back_test_sentence",
    "cancel_run",
    "check_policy_text",
    "estimate_flow",
    "estimate_lines",
    "find_policy",
    "fire_policy",
    "flow_named",
    "order_flow",
    "pause_policies",
    "policy_pause",
    "policy_standings",
    "policy_text",
    "refused_request",
    "request_of",
    "resume_policies",
    "resume_run",
    "switch_policy",
    "take_into_use",
    "usual_run_s",
]
