"""Who comes in: accounts, sessions, another provider's word, and the gate that every request passes."""

from __future__ import annotations

from ._accounts import Account, Accounts
from ._door import Door
from ._gate import Gate
from ._people import People, people_path
from ._routes import login_router
from ._sessions import Sessions
from ._throttle import LoginThrottle

__all__ = [
    "Account",
    "Accounts",
    "Door",
    "Gate",
    "LoginThrottle",
    "People",
    "Sessions",
    "login_router",
    "people_path",
]
