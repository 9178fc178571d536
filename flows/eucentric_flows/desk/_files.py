"""The policy files of a hub: found by name, checked, taken into use."""

from __future__ import annotations

from pathlib import Path

from eucentric_core import Settings, write_atomic

from .._policy_references import check_policy_text
from ..policy import Policy, PolicyError, load_policies, load_policy, nearest

__all__ = ["find_policy", "policy_text", "take_into_use"]


def find_policy(settings: Settings, file_or_name: str) -> Policy:
    """The policy in a file, or that of a name in the hub's folder.

    Raises:
        PolicyError: there is none, or its file is bad.
    """
    if file_or_name.endswith(".toml"):
        return load_policy(Path(file_or_name))
    policies = {policy.name: policy for policy in load_policies(settings.policies_path)}
    if file_or_name not in policies:
        meant = nearest(file_or_name, policies)
        hint = (
            f"did you mean {meant}?" if meant else "`eucentric policy ls` lists them; a file ends in .toml."
        )
        raise PolicyError(
            f"There is no policy {file_or_name!r} in {settings.policies_path}.",
            safe="nothing was changed.",
            next_step=hint,
        )
    return policies[file_or_name]


def policy_text(settings: Settings, name: str) -> str:
    """The file of a policy of this hub, TOML.

    Raises:
        PolicyError: there is none, or its file is bad.
    """
    find_policy(settings, name)
    return _file_of(settings.policies_path, name).read_text(encoding="utf-8")


def take_into_use(settings: Settings, text: str, source: str) -> Policy:
    """Check a policy and make it the hub's, in place of one of the same name. Needs no restart.

    Args:
        settings: of the hub.
        text: TOML.
        source: what it is called in errors, for example its path.

    Raises:
        PolicyError: it cannot be used; `problems` lists why. Nothing was changed.
    """
    policy = check_policy_text(text, source)
    folder = settings.policies_path
    folder.mkdir(parents=True, exist_ok=True)
    load_policies(folder)
    target = _file_of(folder, policy.name)
    if target.exists() and load_policy(target).name != policy.name:
        raise PolicyError(
            f"{target} exists and declares another policy.",
            safe="nothing was changed.",
            next_step="rename that file after its policy.",
        )
    content = text.encode()
    if not target.exists() or target.read_bytes() != content:
        write_atomic(target, content)
    return policy


def _file_of(folder: Path, name: str) -> Path:
    own = (found for found in sorted(folder.glob("*.toml")) if load_policy(found).name == name)
    return next(own, folder / f"{name}.toml")
