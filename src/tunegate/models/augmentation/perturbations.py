"""Perturbations of a question: mistyped letters, swapped or deleted words, a template around it.

Pure functions of a text, a share and a random generator. White space between words stays as it is.
"""

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np

Change = Callable[[str, float, np.random.Generator], str]

_WORD = re.compile(r"\S+")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in _ROWS for at, letter in enumerate(row)
}


def generator(*names: str) -> np.random.Generator:
    """A random generator seeded by names alone: not by order, batch or time."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def mistyped(text: str, share: float, random: np.random.Generator) -> str:
    """`share` of the letters, one at least, left out, doubled or replaced by that of a neighbouring key."""
    characters = list(text)
    letters = [at for at, character in enumerate(text) if character.isalpha()]
    for at in _chosen(letters, share, random):
        characters[at] = _slip(text, at, random)
    return "".join(characters)


def with_swapped_words(text: str, share: float, random: np.random.Generator) -> str:
    """`share` of the words, one at least, swapped with the next one."""
    words = list(_WORD.finditer(text))
    order = list(range(len(words)))
    for at in _chosen(order[:-1], share, random):
        order[at], order[at + 1] = order[at + 1], order[at]
    return _with_words(text, words, [words[at].group() for at in order])


def with_deleted_words(text: str, share: float, random: np.random.Generator) -> str:
    """`share` of the words, one at least and never all, left out, each with the white space after it."""
    words = list(_WORD.finditer(text))
    gone = set(_chosen(list(range(len(words))), share, random)[: max(0, len(words) - 1)])
    if not gone:
        return text
    ends = [word.start() for word in words[1:]] + [len(text)]
    kept = [text[word.start() : end] for at, (word, end) in enumerate(zip(words, ends, strict=True)) if at not in gone]
    return text[: words[0].start()] + "".join(kept).rstrip()


def in_template(text: str, templates: Sequence[str], number: int, random: np.random.Generator) -> str:
    """The text in one of the templates, another for each `number` as long as there are others."""
    order = random.permutation(len(templates))
    return filled(templates[order[number % len(templates)]], text)


def filled(template: str, text: str) -> str:
    """The template with the text for {text}; other braces mean nothing."""
    return template.replace("{text}", text)


CHANGES: dict[str, Change] = {"typo": mistyped, "swap": with_swapped_words, "delete": with_deleted_words}
"""The kinds that change a share of a text."""


def _chosen(places: list[int], share: float, random: np.random.Generator) -> list[int]:
    if not places:
        return []
    count = min(len(places), max(1, round(share * len(places))))
    return sorted(int(place) for place in random.choice(places, size=count, replace=False))


def _slip(text: str, at: int, random: np.random.Generator) -> str:
    letter = text[at]
    near = _NEIGHBOURS.get(letter.casefold(), "")
    slips = ["", letter * 2]
    if near:
        hit = near[random.integers(len(near))]
        slips.append(hit.upper() if letter.isupper() else hit)
    return slips[random.integers(len(slips))]


def _with_words(text: str, old: Sequence[re.Match[str]], new: Sequence[str]) -> str:
    parts, end = list[str](), 0
    for match, word in zip(old, new, strict=True):
        parts += [text[end : match.start()], word]
        end = match.end()
    return "".join([*parts, text[end:]])
