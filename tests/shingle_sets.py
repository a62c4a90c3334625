"""The shingles of one text as a set of tuples, word by word: the reference for `similarity.shingles`."""

import re
import sys
import unicodedata
from functools import cache

from tunegate.data.similarity.shingles import RUN, UNSPACED


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of three words of a text, case folded, or its words where it has fewer; never empty."""
    words = _word().findall(text.casefold()) or [text.strip()]
    return frozenset(tuple(words[start : start + RUN]) for start in range(max(1, len(words) - RUN + 1)))


@cache
def _word() -> re.Pattern[str]:
    characters = map(chr, range(sys.maxunicode + 1))
    marks = "".join(character for character in characters if unicodedata.category(character)[0] == "M")
    return re.compile(rf"(?:(?=[{UNSPACED}])\w|(?:(?![{UNSPACED}])\w[{marks}]*)+)[{marks}]*")
