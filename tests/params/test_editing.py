from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.files import parse_yaml
from tunegate.params.editing import with_values

ROOT = Path(__file__).resolve().parents[2]
TEXT = """# the head
train:
  rank: 16  # of the update
  rate: 0.002
  modules:
  - q
  - v

  ema:
  base: null

prepare:
  mixture: {}
  caps: {a: 1}
"""


def changed_lines(values: dict[str, Any]) -> list[str]:
    return sorted(set(with_values(TEXT, values).splitlines()) - set(TEXT.splitlines()))


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("train.rank", 8, "  rank: 8  # of the update"),
        ("train.rate", 0.00001, "  rate: 0.00001"),
        ("train.ema", 0.99, "  ema: 0.99"),
        ("train.base", "no", '  base: "no"'),
        ("train.modules", ["k", "all-linear"], "  modules: [k, all-linear]"),
        ("train.new", True, "  new: true"),
        ("train.deep.inner", None, "  deep: {inner: null}"),
        ("prepare.mixture.faq.weight", 2.0, "  mixture: {faq: {weight: 2.0}}"),
        ("prepare.caps.b.c", 1, "  caps: {b: {c: 1}, a: 1}"),
        ("train.ema.decay", 1, "  ema: {decay: 1}"),
    ],
)
def test_one_value_changes_one_line(key: str, value: Any, line: str) -> None:
    assert changed_lines({key: value}) == [line]
    edited: Any = parse_yaml(with_values(TEXT, {key: value}), place="text")
    for name in key.split("."):
        edited = edited[name]
    assert edited == value


def test_several_values_are_changed_together_and_the_rest_stays_to_the_letter() -> None:
    text = (ROOT / "params.yaml").read_text()
    edited = with_values(text, {"train.rank": 4, "prepare.mixture.faq.weight": 0.5, "prepare.mixture.web.weight": 2})
    assert parse_yaml(edited, place="text")["prepare"]["mixture"] == {"faq": {"weight": 0.5}, "web": {"weight": 2}}
    assert len(set(text.splitlines()) - set(edited.splitlines())) == 2
    assert with_values(edited, {}) == edited


def test_a_text_in_lines_keeps_the_line_that_comes_after_it() -> None:
    text = "a:\n  long: |\n    one\n    two\n  next: 1  # stays\nb: >-\n  three\n"
    assert with_values(text, {"a.long": "x"}) == "a:\n  long: x\n  next: 1  # stays\nb: >-\n  three\n"
    assert with_values(text, {"b": 2}).endswith("\nb: 2\n")


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("a: &x {rank: 1}\nb: *x\n", "b.rank", "params.yaml:2: b is an alias"),
        ("a: &x 1\nb: *x\nc: 3\n", "b", "params.yaml:2: b is an alias"),
        ("a: &x {rank: 1}\nb: *x\n", "a.rank", "params.yaml: a.rank cannot be changed alone"),
    ],
)
def test_what_stands_for_something_elsewhere_is_not_changed_with_it(text: str, key: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        with_values(text, {key: 2})
    assert f"error: {problem}" in str(caught.value)
    assert "write" in caught.value.remedy


def test_what_an_alias_stands_for_stays_where_a_value_beside_it_changes() -> None:
    assert with_values("a: &x 1\nb: *x\nc: 3\n", {"c": 4}) == "a: &x 1\nb: *x\nc: 4\n"
