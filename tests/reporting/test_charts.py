import xml.etree.ElementTree as ET

from data_change import shift

from tunegate.evaluation.metrics import OTHER, Pair
from tunegate.reporting.charts import (
    MAX_CLASSES,
    Interval,
    confusion_matrix,
    drawn_classes,
    interval_plot,
    loss_curve,
    shift_plot,
)


def test_the_curve_spans_its_steps_and_marks_every_validation() -> None:
    points = [{"step": float(n), "loss": 4.0 / n} for n in range(1, 51)]
    points[24]["valid_loss"] = points[49]["valid_loss"] = 1.0
    svg = ET.fromstring(loss_curve(points))
    assert len(svg.findall("polyline")) == 3
    assert len(svg.findall("circle")) == 2
    x = [float(point.split(",")[0]) for point in svg.findall("polyline")[0].attrib["points"].split()]
    assert x == sorted(x)
    assert 0 < x[0] < x[-1] <= 720


def test_no_points_and_no_pairs_draw_nothing() -> None:
    assert (loss_curve([]), confusion_matrix([])) == ("", "")


def test_the_matrix_has_a_cell_for_every_kind_of_answer() -> None:
    pairs = [Pair("a", "a"), Pair("a", "a"), Pair("a", "b"), Pair("b", OTHER)]
    svg = ET.fromstring(confusion_matrix(pairs))
    cells = {cell.findtext("title"): cell.attrib["class"] for cell in svg.findall("rect")[1:]}
    assert cells == {
        "a answered as a: 2 of 3": "right",
        "a answered as b: 1 of 3": "wrong",
        f"b answered as {OTHER}: 1 of 1": "wrong",
    }


def test_of_many_classes_the_most_confused_are_drawn() -> None:
    pairs = [Pair(f"{n:03d}", f"{n:03d}") for n in range(100)] + [Pair("099", "000")]
    classes = drawn_classes(pairs)
    assert len(classes) == MAX_CLASSES
    assert "099" in classes
    ET.fromstring(confusion_matrix(pairs))


def test_the_baseline_is_drawn_behind_the_candidate_over_the_longer_of_both() -> None:
    points = [{"step": 1.0, "loss": 4.0}, {"step": 2.0, "loss": 3.0, "valid_loss": 3.5}]
    before = [{"step": float(n), "loss": 5.0} for n in range(1, 9)]
    svg = ET.fromstring(loss_curve(points, before))
    assert [line.attrib["class"] for line in svg.findall("polyline")] == ["before", "raw", "train", "valid"]
    assert "before from 5.00 to 5.00" in svg.attrib["aria-label"]


def test_an_interval_lies_between_its_bounds_and_the_limit_left_of_zero() -> None:
    svg = ET.fromstring(interval_plot(Interval(0.02, -0.01, 0.05, -0.03), 0.06, "accuracy & more", "-3.0"))
    places = {line.attrib["class"]: float(line.attrib["x1"]) for line in svg.findall("line")}
    circle = svg.find("circle")
    assert circle is not None
    assert 0 < places["limit"] < places["range"] < places["zero"] < float(circle.attrib["cx"])
    assert svg.attrib["aria-label"] == "accuracy & more"


def test_without_a_limit_nothing_is_shaded() -> None:
    svg = ET.fromstring(interval_plot(Interval(0.0, -0.1, 0.1, None), 0.1, "f1", ""))
    assert svg.find("rect") is None


def test_a_shift_is_described_for_a_screen_reader_and_its_name_is_escaped() -> None:
    text = shift_plot(shift(name="<label>"))
    assert 'aria-label="&lt;label&gt;: 0.20, ' in text
    assert text == shift_plot(shift(name="<label>"))


def test_a_larger_shift_lies_further_right_and_none_at_the_left_end() -> None:
    places = [float(shift_plot(shift(effect=e, low=e, high=e)).split('cx="')[1].split('"')[0]) for e in (0, 0.2, 1)]
    assert places == sorted(places)
    assert (places[0], places[2]) == (6.0, 214.0)


def test_a_shift_without_numbers_draws_nothing() -> None:
    assert shift_plot(shift(effect=None, low=None, high=None)) == ""
