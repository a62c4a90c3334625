from pathlib import Path
from typing import Any

import pytest

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
    found: Any = parse_yaml(with_values(TEXT, {key: value}), place="text")
    for name in key.split("."):
        found = found[name]
    assert found == value


def test_several_values_are_changed_together_and_the_rest_stays_to_the_letter() -> None:
    text = (ROOT / "params.yaml").read_text()
    found = with_values(text, {"train.rank": 4, "prepare.mixture.faq.weight": 0.5, "prepare.mixture.web.weight": 2})
    assert parse_yaml(found, place="text")["prepare"]["mixture"] == {"faq": {"weight": 0.5}, "web": {"weight": 2}}
    assert len(set(text.splitlines()) - set(found.splitlines())) == 2
    assert with_values(found, {}) == found
