"""Text for systemd units."""

from __future__ import annotations

from ._errors import ConfigurationError

__all__ = ["quoted_for_systemd"]


def quoted_for_systemd(text: str) -> str:
    """One word of a unit file, which systemd reads as `text` and nothing else (systemd.syntax(7)).

    Raises:
        ConfigurationError: it holds quotation marks or control characters.
    """
    if any(ord(character) < 32 or character == '"' for character in text):
        raise ConfigurationError(
            f"{text!r} cannot be written into a systemd unit.",
            safe="nothing was written.",
            next_step="use a path without quotation marks and control characters.",
        )
    # systemd expands % and $ itself.
    escaped = text.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
