"""Texts that two collections share, exactly or nearly: test rows among training rows, above all.

Two texts are near when the sets of their runs of three words overlap by at least a threshold (Jaccard similarity of
shingles; Broder 1997). Found exactly, not by sampling: only texts that share one of their rarest shingles are compared
(prefix filtering; Chaudhuri et al. 2006). Plain values in and out; reads no file.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterable, Mapping

_WORD = re.compile(r"\w+")
_RUN = 3

Shingles = frozenset[tuple[str, ...]]


@dataclasses.dataclass(frozen=True, order=True)
class Match:
    """A text of one collection found in another."""

    left: str
    """Its id."""
    right: str
    """The id of the text most like it."""
    similarity: float
    """Jaccard similarity, 1.0 for equal words."""


def matches(left: Mapping[str, str], right: Mapping[str, str], *, threshold: float) -> list[Match]:
    """For every text of `left` (by id) that `right` has too, or nearly, its most similar one there; sorted by id."""
    ours = {key: shingles(text) for key, text in left.items()}
    theirs = {key: shingles(text) for key, text in right.items()}
    rarity = collections.Counter(item for group in (ours, theirs) for found in group.values() for item in found)
    index: dict[tuple[str, ...], list[str]] = {}
    for key, found in theirs.items():
        for item in _rarest(found, rarity, threshold):
            index.setdefault(item, []).append(key)
    best = (_best(key, found, _candidates(found, index, rarity, threshold), theirs) for key, found in ours.items())
    return sorted(match for match in best if match and match.similarity >= threshold)


def shingles(text: str) -> Shingles:
    """The runs of three words of a text, case folded, or its words where it has fewer; never empty."""
    words = tuple(_WORD.findall(text.casefold())) or (text.strip(),)
    return frozenset(words[start : start + _RUN] for start in range(max(1, len(words) - _RUN + 1)))


def _rarest(found: Shingles, rarity: Mapping[tuple[str, ...], int], threshold: float) -> Iterable[tuple[str, ...]]:
    """As many of the rarest shingles as two sets of this similarity must share one of."""
    # The small term: 0.9 * 10 is 9.000000000000002 in floating point or 8.999..., and must be 9.
    count = len(found) - math.ceil(threshold * len(found) - 1e-9) + 1
    return sorted(found, key=lambda item: (rarity[item], item))[:count]


def _candidates(
    found: Shingles,
    index: Mapping[tuple[str, ...], list[str]],
    rarity: Mapping[tuple[str, ...], int],
    threshold: float,
) -> set[str]:
    return {key for item in _rarest(found, rarity, threshold) for key in index.get(item, ())}


def _best(key: str, found: Shingles, candidates: set[str], theirs: Mapping[str, Shingles]) -> Match | None:
    def similarity(other: str) -> float:
        shared = len(found & theirs[other])
        return shared / (len(found) + len(theirs[other]) - shared)

    ranked = sorted((-similarity(other), other) for other in candidates)
    return Match(key, ranked[0][1], round(-ranked[0][0], 6)) if ranked else None
