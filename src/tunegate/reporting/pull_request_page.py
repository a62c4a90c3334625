"""Writes the pull request's report: report.html, report.md (the comment, bounded in size) and verdict.json.

The page is one file that asks no host for anything; its only script filters the examples and is allowed by its hash.
The comment has the same sentences; where it would grow too large, it says what it left out.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunegate.files import to_json, write_text
from tunegate.reporting.markdown import code, escape, prose, prose_html
from tunegate.reporting.numbers import difference
from tunegate.reporting.pull_request import LEVELS, OUTCOMES, PullRequest
from tunegate.reporting.rendering import Ready, csp_hash, environment, source_of
from tunegate.text import short, words

MAX_MARKDOWN_BYTES = 60_000
MAX_EXAMPLES = 400
"""Examples in the page; the rest are counted."""

_CUT_HERE = "<!-- section -->\n"
_MANY_LINES = re.compile(r"\n{3,}")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How much of a long list is shown, and of a long text."""

    rows: int
    examples: int
    characters: int
    open_examples: int = 0
    """Of each outcome's examples, those that are shown without a click."""


_PAGE = Bounds(rows=50, examples=MAX_EXAMPLES, characters=1000, open_examples=6)
_COMMENT = (Bounds(20, 5, 300), Bounds(10, 3, 200), Bounds(5, 1, 120), Bounds(3, 0, 80))


def write_report(report: PullRequest, folder: Path) -> list[Path]:
    """Write the three files; return their paths."""
    texts = {
        "report.html": render_html(report),
        "report.md": render_markdown(report),
        "verdict.json": to_json(report.verdict.model_dump(mode="json")),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def render_html(report: PullRequest) -> str:
    """The page."""
    script = source_of("filter.js")
    loaded = environment()
    loaded.filters |= {"prose": prose_html, "short": short}
    return str(
        loaded.get_template("pull_request.html.j2").render(
            report=report,
            bounds=_PAGE,
            outcomes=OUTCOMES,
            levels=LEVELS,
            script=Ready(script),
            script_hash=csp_hash(script),
            revision=revision,
            difference=difference,
            words=words,
        )
    )


def render_markdown(report: PullRequest, limit: int = MAX_MARKDOWN_BYTES) -> str:
    """The comment, in at most `limit` bytes: with shorter lists, then without its last sections, where it must be."""
    text = ""
    for bounds in _COMMENT:
        text = _markdown(report, bounds)
        whole = text.replace(_CUT_HERE, "")
        if _size(whole) <= limit:
            return whole
    return _without_last_sections(text.split(_CUT_HERE), limit)


def revision(name: str) -> str:
    """A commit for people: twelve digits; `working tree` stays."""
    return name if " " in name else name[:12]


def _markdown(report: PullRequest, bounds: Bounds) -> str:
    loaded = environment(finalize=_plain)
    loaded.filters |= {
        "prose": lambda text: Ready(prose(short(text, 4 * bounds.characters))),
        "code": lambda text: Ready(code(short(text, bounds.characters))),
        "short": lambda text: short(text, bounds.characters),
    }
    template = loaded.get_template("pull_request.md.j2")
    text = template.render(
        report=report, bounds=bounds, outcomes=OUTCOMES, levels=LEVELS, revision=revision, cut=Ready(_CUT_HERE)
    )
    # A template's conditions leave empty lines behind.
    return _MANY_LINES.sub("\n\n", str(text)).strip() + "\n"


def _plain(value: Any) -> Any:
    """Whatever a template writes is escaped, unless it was made Markdown on purpose."""
    return Ready(escape(value)) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _without_last_sections(sections: Sequence[str], limit: int) -> str:
    kept = list(sections)
    while len(kept) > 1:
        kept.pop()
        text = "".join(kept) + f"\n_{len(sections) - len(kept)} sections did not fit here: see report.html._\n"
        if _size(text) <= limit:
            return text
    return "".join(_lines_within(kept[0], limit - 80)) + "\n_The rest did not fit here: see report.html._\n"


def _lines_within(text: str, limit: int) -> Iterator[str]:
    used = 0
    for line in text.splitlines(keepends=True):
        used += _size(line)
        if used > limit:
            return
        yield line


def _size(text: str) -> int:
    return len(text.encode())
