"""What changed in a text, word by word, and the parts of it around the changes."""

import difflib
import re

from tunegate.data.diff.result import Words
from tunegate.text import short

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4_000
"""Where more than these differ, they are shown one after the other: the comparison takes time with their square."""
_AROUND = 80
"""Characters that are kept on each side of a change."""


def word_diff(before: str, after: str) -> list[Words]:
    """Runs of words that both have, or only one, in reading order; joined, those of a side give its text."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    first = _common_prefix(old, new)
    last = _common_prefix(old[first:][::-1], new[first:][::-1])
    ends = "".join(old[:first]), "".join(old[len(old) - last :])
    parts = [Words(side="both", text=ends[0]), *_middle(old[first : len(old) - last], new[first : len(new) - last])]
    return [part for part in (*parts, Words(side="both", text=ends[1])) if part.text]


def cut_words(runs: list[Words], most: int) -> list[Words]:
    """The changed runs of a `word_diff` and what stands around them, about `most` characters of each side.

    What is left out is an ellipsis.
    """
    if sum(len(part.text) for part in runs) <= most:
        return runs
    parts: list[Words] = []
    for number, part in enumerate(runs):
        if sum(len(kept.text) for kept in parts) >= 2 * most:
            return [*parts, Words(side="both", text="…")]
        if part.side != "both":
            cut = short(part.text, most)
        else:
            cut = _around(part.text, after=number > 0, before=number < len(runs) - 1)
        parts.append(Words(side=part.side, text=cut))
    return parts


def _around(text: str, *, after: bool, before: bool) -> str:
    """What is next to a change: the beginning of what comes `after` one, the end of what comes `before` one."""
    if len(text) <= 2 * _AROUND:
        return text
    return (text[:_AROUND] if after else "") + "…" + (text[-_AROUND:] if before else "")


def _common_prefix(old: list[str], new: list[str]) -> int:
    """How many words both begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(old), len(new)))


def _middle(old: list[str], new: list[str]) -> list[Words]:
    if max(len(old), len(new)) > _MOST_WORDS:
        return [Words(side="before", text="".join(old)), Words(side="after", text="".join(new))]
    runs: list[Words] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            runs.append(Words(side="both", text="".join(old[i:j])))
        else:
            sides = (("before", "".join(old[i:j])), ("after", "".join(new[k:m])))
            runs += [Words.model_validate({"side": side, "text": text}) for side, text in sides if text]
    return runs
