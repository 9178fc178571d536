"""Policy files: one TOML file per policy."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from ._models import Policy, PolicyError

__all__ = ["load_policies", "load_policy"]

_SAFE = "no automation was changed."


def load_policy(path: Path) -> Policy:
    """Read one policy file.

    Raises:
        PolicyError: missing, not TOML, or a key that is unknown, missing or out of bounds; one sentence.
    """
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise PolicyError(
            f"Policy file {path} does not exist.", safe=_SAFE, next_step="check the path."
        ) from error
    except OSError as error:
        raise PolicyError(
            f"Policy file {path} cannot be read: {error.strerror}.", safe=_SAFE, next_step="check the path."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        # The tag of a union is no key of the file.
        key = ".".join(str(part) for part in first["loc"] if part not in ("drift", "dataset", "frames"))
        what = f"Policy file {path}, {key or 'top level'}: {first['msg'][:1].lower()}{first['msg'][1:]}."
        raise PolicyError(
            what, safe=_SAFE, next_step="correct it, then run `eucentric policy check` on it.", key=key
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(
            f"Policy file {path} is not valid TOML: {error}.", safe=_SAFE, next_step="correct the named line."
        ) from error


def load_policies(folder: Path) -> tuple[Policy, ...]:
    """All `*.toml` policies of a folder, by file name.

    Raises:
        PolicyError: a file is bad, or two policies have one name.
    """
    found: dict[str, Path] = {}
    policies = []
    for path in sorted(folder.glob("*.toml")):
        policy = load_policy(path)
        if policy.name in found:
            raise PolicyError(
                f"Policy files {found[policy.name].name} and {path.name} both define {policy.name!r}.",
                safe=_SAFE,
                next_step="rename one of them.",
            )
        found[policy.name] = path
        policies.append(policy)
    return tuple(policies)
