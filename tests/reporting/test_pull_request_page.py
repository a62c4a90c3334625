import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from miniature import Miniature, answers, predictions
from verdicts import EVIL, evidence_of, part

from tunegate.data.diff.result import Pair, Pairs, RowSample
from tunegate.files import write_text
from tunegate.gate.verdict import Reason, Verdict
from tunegate.reporting.data_changes import data_view
from tunegate.reporting.params_changes import Change, FileChanges
from tunegate.reporting.pull_request import Proof, PullRequest, pull_request_of
from tunegate.reporting.pull_request_page import (
    MAX_EXAMPLES,
    MAX_MARKDOWN_BYTES,
    render_html,
    render_markdown,
    write_report,
)

Make = Callable[..., PullRequest]


@pytest.fixture(scope="module")
def changed(first_miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Miniature]:
    """A miniature with a second commit: other answers, parameters and rows."""
    import shutil

    root = Path(shutil.copytree(first_miniature.root, tmp_path_factory.mktemp("page") / "project", symlinks=True))
    made = Miniature(root, first_miniature.run)
    made.predict(predictions(answers(200, 0.75, seed=3)))
    made.train_on([f"another question {n}" for n in range(45)])
    made.change(train__learning_rate=0.5)
    made.commit("Second")
    yield made


@pytest.fixture
def make(changed: Miniature) -> Make:
    def report(proofs: list[Proof] | None = None, **verdict: Any) -> PullRequest:
        with evidence_of(changed.root, "HEAD~1", "HEAD", **verdict) as evidence:
            return pull_request_of(evidence, proofs)

    return report


class Page(HTMLParser):
    """The elements of a page, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_data(self, data: str) -> None:
        if self._within not in ("style", "script"):
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.said).split())


def with_evil(report: PullRequest, times: int = 1) -> PullRequest:
    """Every place that shows data shows a text that tries to be more than text."""
    text = EVIL * times
    changes = report.changes
    examples = [dataclasses.replace(e, question=text, before=text, after=text, id=f"{e.id}{EVIL}", label=EVIL,
                                    slices={EVIL: EVIL, "language": EVIL}) for e in changes.examples]  # fmt: skip
    row = RowSample(id=EVIL, split="train", source=EVIL, question=text, answer=text)
    pair = {"id": EVIL, "other": EVIL, "kind": "duplicate", "similarity": None}
    pairs = {"count": 1, "pairs": [Pair.model_validate(pair)]}
    diff = changes.data.diff.model_copy(update={"added": [row] * 3, "duplicates": Pairs.model_validate(pairs)})
    data = data_view(diff)
    files = [FileChanges("params.yaml", "Parameters", [Change(EVIL, text, text)])]
    ours = dataclasses.replace(changes, examples=examples, data=data, files=files, others={EVIL: 1})
    return dataclasses.replace(report, changes=ours, name=EVIL, sentence=text)


def test_the_page_asks_no_host_for_anything_and_runs_one_script_by_its_hash(make: Make) -> None:
    text = render_html(make())
    elements = Page(text).elements
    assert not [tag for tag, _ in elements if tag in ("link", "img", "iframe", "object", "embed", "base")]
    addresses = [a[n] for _, a in elements for n in ("src", "href", "srcset", "action") if n in a]
    assert all(str(address).startswith("#") for address in addresses)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", text)
    policy = next(str(a["content"]) for t, a in elements if a.get("http-equiv") == "Content-Security-Policy")
    assert re.fullmatch(r"default-src 'none'; .* script-src 'sha256-[\w+/]{43}='", policy)
    assert [tag for tag, _ in elements].count("script") == 1
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]


def test_a_reason_comes_before_everything_else_and_both_files_say_the_same(make: Make) -> None:
    report = make()
    page, comment = Page(render_html(report)).text, render_markdown(report)
    for text in (page, comment):
        assert text.index("Accuracy rose by 5.0 points") < text.index("the answers are slow") < text.index("Metrics")
        for said in ("train.learning_rate", "0.002", "0.5", "20 fixed, 10 broken", "p = 0.0987", "90 % interval"):
            assert said in text, said


def test_text_from_the_data_stays_text_in_the_page(make: Make) -> None:
    report = with_evil(make(proofs=[Proof("train", False, EVIL)], headline=f"Refused: {EVIL}", approvals=[EVIL],
                            contamination={"exact": [EVIL]}, slices=[part(EVIL)]))  # fmt: skip
    page = Page(render_html(report))
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "<script>alert(1)</script>" in page.text
    assert "alert" not in render_html(report).split("<script>")[1].split("</script>")[0]


def test_text_from_the_data_stays_text_in_the_comment(make: Make) -> None:
    report = with_evil(make(proofs=[Proof("train", False, EVIL)], headline=f"Refused: {EVIL}", approvals=[EVIL],
                            contamination={"exact": [EVIL]}, slices=[part(EVIL)]))  # fmt: skip
    comment = render_markdown(report)
    assert not re.search(r"<script|@everyone|#1|http://|(?<!\\)\]\(|\u202e", comment)
    assert [line for line in comment.splitlines() if line.startswith("## ")] == [f"## ✅ {report.word}"]
    for line in comment.splitlines():
        assert not line.startswith("|") or line.endswith("|"), line


def test_a_reader_of_markdown_finds_no_link_no_element_and_no_broken_table(make: Make) -> None:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(render_markdown(with_evil(make())))
    inline = [child for token in tokens for child in token.children or []]
    assert not [token for token in inline if token.type in ("link_open", "image", "html_inline", "s_open")]
    blocks = {tag for token in tokens if token.type == "html_block" for tag in re.findall(r"</?(\w+)", token.content)}
    assert blocks == {"details", "summary"}
    plain = " ".join(EVIL.replace("\u202e", "\ufffd").split())
    cells = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    assert [cell.replace("\u200b", "") for cell in cells].count(plain) >= 10, "cells hold the text, whole and alone"


@pytest.mark.parametrize("limit", [MAX_MARKDOWN_BYTES, 8_000, 1_000])
def test_a_huge_change_gives_a_comment_within_bounds_that_says_what_it_left_out(make: Make, limit: int) -> None:
    reasons = [Reason(level="refused", text=f"{n} {EVIL * 50}") for n in range(500)]
    slices = [part(f"{n} {EVIL * 20}") for n in range(500)]
    leaks = {"exact": [f"{n} {EVIL}" for n in range(5000)]}
    report = with_evil(make(reasons=reasons, slices=slices, contamination=leaks), times=2000)
    many = [Change(f"{n}{EVIL}", EVIL * 100, EVIL * 100) for n in range(2000)]
    files = [FileChanges("params.yaml", "Parameters", many), FileChanges("dvc.yaml", "Pipeline", many)]
    report = dataclasses.replace(report, changes=dataclasses.replace(report.changes, files=files))
    comment = render_markdown(report, limit)
    assert len(comment.encode()) <= limit
    assert comment.startswith("## ✅")
    assert "see report.html" in comment
    assert comment.count("<details>") == comment.count("</details>")


def test_a_comment_that_fits_leaves_nothing_out(make: Make) -> None:
    comment = render_markdown(make())
    assert "did not fit" not in comment
    assert [line for line in comment.splitlines() if line.startswith("### ")] == [
        f"### {title}"
        for title in (
            "Metrics",
            "Slices",
            "Limits",
            "What changed",
            "Data",
            "Examples",
            "Confusion",
            "Cost",
            "Evidence",
        )
    ]
    assert "\n\n\n" not in comment


def test_the_page_holds_so_many_examples_and_counts_the_rest(make: Make) -> None:
    report = make()
    one = report.changes.examples[0]
    rows = [dataclasses.replace(one, id=f"row-{n}", outcome="broken") for n in range(MAX_EXAMPLES + 100)]
    counts = report.counts | {"broken": len(rows)}
    report = dataclasses.replace(report, counts=counts, changes=dataclasses.replace(report.changes, examples=rows))
    page = Page(render_html(report))
    assert [attributes.get("class") for tag, attributes in page.elements if tag == "article"] == [
        "example"
    ] * MAX_EXAMPLES
    assert "400 of 500 are in this file" in page.text


def test_every_heading_names_its_section_and_headings_skip_no_level(make: Make) -> None:
    elements = Page(render_html(make())).elements
    ids = {attributes.get("id") for _, attributes in elements}
    assert {a["aria-labelledby"] for _, a in elements if "aria-labelledby" in a} <= ids
    assert {str(a["href"])[1:] for tag, a in elements if tag == "a"} <= ids
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in attributes for tag, attributes in elements if tag == "th")


def test_the_first_model_is_reported_without_a_baseline(changed: Miniature) -> None:
    with evidence_of(changed.root, "HEAD", "HEAD", slices=[]) as evidence:
        first = pull_request_of(dataclasses.replace(evidence, baseline=None, baseline_predictions=None))
    assert "this is the first model" in Page(render_html(first)).text
    assert "first model" in render_markdown(first)


def test_an_unproven_stage_is_named_in_both(make: Make) -> None:
    report = make(proofs=[Proof("base", True, ""), Proof("train", False, "no such run is known")])
    for text in (Page(render_html(report)).text, render_markdown(report)):
        assert "1 of 2 stages" in text
        assert "no such run is known" in text


def test_three_files_are_written_and_the_verdict_is_the_one_given(make: Make, tmp_path: Path) -> None:
    report = make()
    write_text(tmp_path / "out/report.md", "of an older run")
    paths = write_report(report, tmp_path / "out")
    assert [path.name for path in paths] == ["report.html", "report.md", "verdict.json"]
    assert Verdict.model_validate(json.loads(paths[2].read_text())) == report.verdict
    assert paths[0].read_text() == render_html(report)
