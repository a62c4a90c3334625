"""The words of the code and of the documents are the field's: no retired word comes back.

A retired phrase is looked for in all text of `src/`, `docs/`, `examples/`, README.md and CONTRIBUTING.md, a retired
name in what the code of `src/` defines. docs/glossary.md says what the standard terms mean.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "src" / "tunegate"
MODULES = sorted(CODE.rglob("*.py"))
TEXTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(path for folder in ("src", "docs", "examples") for path in ROOT.glob(f"{folder}/**/*")),
    ]
    if path.is_file() and path.suffix not in (".pyc", ".png") and path.name != "CHANGELOG.md"
)

PHRASES = {
    r"watch-?dogs?": "divergence detector",
    r"\bbark(s|ed|ing)?\b": "stop",
    r"(?<![a-z])by[ _]heart(?![a-z])": "overfit-one-batch check",
    r"rehears": "memory probe, or warm-up step",
    r"(?<![a-z])fates?(?![a-z])": "row outcome",
    r"(?<![a-z])tall(y|ies)(?![a-z])": "counts",
    r"(?<![a-z])companions?(?![a-z])": "auxiliary model",
    r"\bbear(s|ing)? (it|this|that|them) out\b": "confirms",
    r"\b(no|nor a) finite number\b": "not finite",
    r"\bthat (is|are) none\b": "is not a ...",
    r"(?<!there )\bis no (?!longer|more|less|other|such|different|better|worse|faster|slower|larger|smaller)\w+": (
        "is not a ..."
    ),
    r"\b(model|base|machine|file|folder|rows?|side|project|record|table) (has|have) not\b(?! (been|yet|run|seen)\b)": (
        "does not have"
    ),
    r"\b(of|than) today\b": "present",
    r"\b(for|nor|to|by|of|from) who (asks?|answers?|wants?|needs?|makes|reads|gets)\b": "for a caller that, ...",
    r"\bwhoever\b": "anyone who, ...",
    r"\bnobody has heard of\b": "unknown",
    r"\bnot told of\b": "not reported",
    r"\bis not known here\b": "unknown",
}
"""Retired, as a regular expression on text in lower case -> what is written in its place."""

CLASSES = {
    "Asked", "Fate", "Gathered", "Guess", "Judged", "Lesson", "Lessons", "Lost", "Parting", "Places", "Seen",
    "Settling", "Story", "Tally", "Told", "Wish",
}  # fmt: skip
NAMES = {
    "asked", "fates", "found", "grown", "judged", "known", "made", "said", "seen", "strangers", "told", "wanted", "way",
    "ways",
}  # fmt: skip
"""A variable, parameter, field or function is named by what it holds or gives."""

FILES = {
    "beginning", "beside", "choosing", "companions", "conducting", "fitting", "inert", "leaving", "parting", "pieces",
    "repeats", "running", "searching", "measuring",
}  # fmt: skip

TERMS = (
    "adapter", "baseline", "candidate", "contamination", "desired state", "divergence detector", "drift", "floor",
    "ledger", "lineage key", "manifest", "memory probe", "merge base", "non-inferiority margin",
    "overfit-one-batch check", "package", "proof of run", "quarantine", "reconcile", "row outcome", "run cache",
    "slice", "snapshot", "stage", "stage key", "verdict",
)  # fmt: skip
"""What the glossary explains at least."""

PUBLISHED = {
    "src/tunegate/data/diff/result.py": {"seen"},  # a key of `tunegate data diff --json`
    "src/tunegate/models/manifest.py": {"companions"},  # the key that manifests of earlier releases have
}
"""What files and output of earlier releases name by a retired word."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def phrases_in(text: str) -> set[str]:
    plain = " ".join(re.sub(r"\n\s*#", "\n", text).lower().split())
    return {match.group() for pattern in PHRASES for match in re.finditer(pattern, plain)}


def defined_in(code: str) -> Iterator[str]:
    """The names that a module gives to classes, functions, parameters, variables and fields, without leading lines."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name.lstrip("_")
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name.lstrip("_")


def test_there_are_texts_to_look_at() -> None:
    assert len(MODULES) > 200
    assert {"README.md", "docs/glossary.md", "examples/route-encoder/params.yaml", "src/tunegate/files.py"} <= set(
        map(name_of, TEXTS)
    )


def test_the_glossary_is_in_order_and_has_the_terms_of_the_pipeline() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    terms = [line.split(" | ")[0].removeprefix("| ").lower() for line in lines if line.startswith("| ")][1:]
    assert terms == sorted(set(terms))
    assert set(TERMS) <= set(terms)


def test_a_retired_word_is_seen_whatever_stands_around_it() -> None:
    assert phrases_in("# The\n    # WATCHDOG\n    # bears it\n    # out") == {"watchdog", "bears it out"}
    assert phrases_in("read_fates, rehearsal; the fateful day") == {"fates", "rehears"}
    assert set(defined_in("class _Told:\n    seen: int\ndef f(found):\n    for said, b in found:\n        pass")) == {
        "Told", "seen", "f", "found", "said", "b"
    }  # fmt: skip


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_a_text_has_no_retired_phrase(path: Path) -> None:
    left = phrases_in(path.read_text(encoding="utf-8")) - PUBLISHED.get(name_of(path), set())
    assert not left, {
        word: PHRASES[next(pattern for pattern in PHRASES if re.fullmatch(pattern, word))] for word in left
    }


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_name_says_what_it_holds(path: Path) -> None:
    assert not set(defined_in(path.read_text(encoding="utf-8"))) & (CLASSES | NAMES) - PUBLISHED.get(
        name_of(path), set()
    )
    assert path.stem not in FILES
