import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

from data_change import empty, shift

from tunegate.preflight.memory import Forecast
from tunegate.reporting.pages import colour_of, costs_of, loss_curves, render_data_page


def test_every_run_has_its_colour_and_a_line_for_each_loss() -> None:
    runs = [SimpleNamespace(id=f"run-<{number}>-0000") for number in range(2)]
    points = [[{"step": 1.0, "loss": 3.0}, {"step": 2.0, "loss": 2.0, "valid_loss": 2.5}], []]
    comparison: Any = SimpleNamespace(runs=runs)
    drawing = ET.fromstring(loss_curves(comparison, points))
    assert [line.attrib["style"] for line in drawing.findall("polyline")] == [
        f"stroke:{colour_of(number)}" for number in (0, 0, 1, 1)
    ]
    assert colour_of(0) != colour_of(1)
    assert len(drawing.findall("circle")) == 1


def test_the_page_of_a_diff_shows_its_shifts_and_escapes_what_comes_from_the_data() -> None:
    page = render_data_page(empty(shifts=[shift(name="<b>label</b>")], notes=["<i>not compared</i>"]))
    assert ("<b>label</b>" in page, "<i>" in page, "&lt;b&gt;label" in page) == (False, False, True)
    assert page.count("<svg") == 1
    assert "<script" not in page


def test_the_costs_of_a_preflight_are_in_units_for_people() -> None:
    sizes: dict[str, Any] = dict.fromkeys(Forecast.__dataclass_fields__, 1_000_000)
    costs = dict(costs_of(Forecast(**sizes | {"seconds": 90.0})))
    assert (costs["weights"], costs["largest batch"]) == ("1 MB", "1,000,000 tokens")
    assert costs["time on this machine"].startswith("1 min 30 s at ")
