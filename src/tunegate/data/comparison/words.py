"""What changed in a text, word by word. Pure: texts in, runs of words out."""

import difflib
import re

from tunegate.data.comparison.result import Words

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4_000
"""Beyond it the two texts are shown one after the other: the comparison takes time with the square of their length."""


def word_diff(before: str, after: str) -> list[Words]:
    """Runs of words that both have, or only one, in reading order; joined, those of a side give its text."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        return [Words(side="before", text=before), Words(side="after", text=after)]
    found: list[Words] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Words(side="both", text="".join(old[i:j])))
        else:
            sides = (("before", "".join(old[i:j])), ("after", "".join(new[k:m])))
            found += [Words.model_validate({"side": side, "text": text}) for side, text in sides if text]
    return found
