import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from tunegate.data.checks.page import write_page
from tunegate.data.checks.sanitizer import inert
from tunegate.data.checks.suites import Suite
from tunegate.data.rows import Row

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def test_no_value_of_a_row_acts_on_the_page_and_nothing_foreign_is_loaded(
    row: Callable[..., Row],
    stored: Callable[[list[Row]], Path],
    suite_of: Callable[..., Suite],
    templates: Path,
    tmp_path: Path,
) -> None:
    rows = [row(f"{EVIL}{n}", text=f"{EVIL} asked {n}", label=EVIL, slices={EVIL: EVIL}) for n in range(3)]
    lengths = ("expect_column_value_lengths_to_be_between", {"column": "text", "max_value": 1}, "info")
    labels = ("expect_column_values_to_be_in_set", {"column": "label", "value_set": [EVIL[:9]]}, "info")
    path, folder = stored(rows), tmp_path / "page"
    folder.mkdir()
    write_page(suite_of(lengths, labels), path, "mine.json", templates, folder)
    pages = "".join(page.read_text() for page in folder.rglob("*.html"))
    assert "asked 1" in pages
    for word in ("<script", "alert(", "onerror", 'src="http', 'src="//', "<img src=x"):
        assert word not in pages
    assert "<link" not in "".join(line for line in pages.splitlines() if "http" in line and "<link" in line)
    assert not any("url('http" in file.read_text() for kind in ("*.html", "*.css") for file in folder.rglob(kind))
    assert pages.count("Content-Security-Policy") == 3
    links = re.findall('href="([^"]+)"', (folder / "index.html").read_text())
    assert sorted(link.split("/")[0] for link in links) == ["expectations", "validations"]
    assert all((folder / unquote(link)).is_file() for link in links)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ('<a href="#a" onclick="x()">b</a>', '<a href="#a">b</a>'),
        ('<a href="java\tscript:x()">b</a>', "<a>b</a>"),
        ('<a href="//x.example/">b</a>', "<a>b</a>"),
        ('<p style="color: red">b</p>', '<p style="color: red">b</p>'),
        ('<p style="background: u\\72l(//x.example)">b</p>', "<p>b</p>"),
        ("<body><style>p {}</style>b", "<body>b"),
        ("<style>p { background: url(https://x.example/a) }</style>", "<style>p { background: none }</style>"),
        ("<svg><script>x()</script></svg>b", "b"),
        ('<form action="https://x.example"><input>b</form>', "b"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ("<scr<script>ipt>x()</script>b", "ipt&gt;x()b"),
        ("<img src=//x.example/a onerror=x()>", ""),
        ("<link href=a.css rel=stylesheet>", '<link href="a.css" rel="stylesheet">'),
    ],
)
def test_only_what_cannot_act_is_written(given: str, written: str) -> None:
    assert inert(given).removeprefix("<!DOCTYPE html>\n") == written
