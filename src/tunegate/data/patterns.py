"""Regular expressions of a suite or of sources.yaml: refused when not valid, or when one row could run for hours.

Two engines match: RE2 wherever pandas expects the results of Python's `re` from it, in time linear in the text, and
Python's `re` for the rest, which for some patterns takes time that doubles with every character. Found is the usual
mistake, a repeat of what already repeats; that a pattern is fast is not proved.
"""

import re
import warnings
from collections.abc import Iterator
from re import _constants as ops  # type: ignore[attr-defined]  # the parser of `re` has no public name
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT)


class Fault(NamedTuple):
    """What is wrong with a pattern, and what to write instead."""

    problem: str
    remedy: str


def pattern_fault(pattern: str) -> Fault | None:
    """What is wrong with `pattern`, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return _fault_for_re2(pattern, str(error))
    if any(_ambiguous(body) for body in _endless(tree)):
        problem = f"{pattern!r} repeats what already repeats: one long row could take hours"
        remedy = (
            "repeat once, [a-z ]+ for ([a-z]+ ?)+, or end each turn with what nothing else in it matches: ([a-z]+,)+"
        )
        return Fault(problem, remedy)
    return None


def _fault_for_re2(pattern: str, why: str) -> Fault | None:
    """A pattern that Python refuses may be one of RE2, which alone has classes by Unicode category."""
    import pyarrow
    import pyarrow.compute

    try:
        pyarrow.compute.match_substring_regex(pyarrow.array([""]), pattern)
    except pyarrow.ArrowInvalid:
        remedy = "correct it; in JSON, a backslash is written twice"
        return Fault(f"not a regular expression: {pattern!r}: {why}", remedy)
    return None


def _endless(tree: Any) -> Iterator[Any]:
    """The body of every repeat without an upper bound."""
    for operation, argument in tree:
        if operation in _REPEATS and argument[1] == ops.MAXREPEAT:
            yield argument[2]
        for inner in _inside(operation, argument):
            yield from _endless(inner)


def _ambiguous(body: Any) -> bool:
    """Whether one text can be cut into turns of `body` in several ways, as far as its form shows."""
    items = list(_without_groups(body))
    if any(operation == ops.BRANCH and not _are_disjoint(argument[1]) for operation, argument in items):
        return True
    varies = any(operation in _REPEATS and argument[0] != argument[1] for operation, argument in items)
    return varies and not _separated(items)


def _without_groups(body: Any) -> Iterator[tuple[Any, Any]]:
    for operation, argument in body:
        if operation == ops.SUBPATTERN:
            yield from _without_groups(argument[3])
        else:
            yield operation, argument


def _separated(items: list[tuple[Any, Any]]) -> bool:
    """Whether each turn starts or ends with a character that nothing else in it can match."""
    for edge, others in ((items[0], items[1:]), (items[-1], items[:-1])):
        if edge[0] == ops.LITERAL and not any(_may_match(item, edge[1]) for item in others):
            return True
    return False


def _may_match(item: tuple[Any, Any], character: int) -> bool:
    operation, argument = item
    if operation == ops.LITERAL:
        return bool(argument == character)
    if operation == ops.NOT_LITERAL:
        return bool(argument != character)
    if operation == ops.IN:
        negated = argument[0][0] == ops.NEGATE
        return bool(any(_in_class(entry, character) for entry in argument) != negated)
    if operation in _REPEATS:
        return any(_may_match(inner, character) for inner in argument[2])
    return True


def _in_class(entry: tuple[Any, Any], character: int) -> bool:
    operation, argument = entry
    if operation == ops.LITERAL:
        return bool(argument == character)
    if operation == ops.RANGE:
        return bool(argument[0] <= character <= argument[1])
    if operation == ops.CATEGORY:
        kinds = {ops.CATEGORY_DIGIT: r"\d", ops.CATEGORY_SPACE: r"\s", ops.CATEGORY_WORD: r"\w"}
        kinds |= {ops.CATEGORY_NOT_DIGIT: r"\D", ops.CATEGORY_NOT_SPACE: r"\S", ops.CATEGORY_NOT_WORD: r"\W"}
        return re.match(kinds[argument], chr(character)) is not None
    return False


def _are_disjoint(branches: list[Any]) -> bool:
    firsts = [next(iter(branch)) if len(branch) else None for branch in branches]
    letters = [first[1] for first in firsts if first is not None and first[0] == ops.LITERAL]
    return len(letters) == len(branches) == len(set(letters))


def _inside(operation: Any, argument: Any) -> Iterator[Any]:
    if operation in _REPEATS or operation == ops.POSSESSIVE_REPEAT:
        yield argument[2]
    elif operation == ops.SUBPATTERN:
        yield argument[3]
    elif operation == ops.BRANCH:
        yield from argument[1]
    elif operation in (ops.ASSERT, ops.ASSERT_NOT):
        yield argument[1]
    elif operation == ops.ATOMIC_GROUP:
        yield argument
