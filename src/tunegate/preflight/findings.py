"""What a check found: it holds, it is worth a look, training is refused, or it was not made. Plain values."""

import dataclasses
from typing import Literal

Status = Literal["ok", "warning", "refused", "skipped"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of a preflight."""

    check: str
    """What was looked at, in two words."""
    status: Status
    found: str
    """What was seen, with numbers."""
    remedy: str = ""
    """What to do; empty where all is well."""


def judged(check: str, holds: bool, found: str, remedy: str, *, otherwise: Status = "refused") -> Finding:
    """`ok` where it holds, else `otherwise` with the remedy."""
    return Finding(check, "ok", found) if holds else Finding(check, otherwise, found, remedy)
