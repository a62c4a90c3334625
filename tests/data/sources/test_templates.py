import pytest

from tunegate.data.sources.templates import check_template, columns_of, fill


def test_columns_are_replaced_by_their_values() -> None:
    record = {"id": 7, "Customer question": "Why?", "sure": True, "share": 0.5}
    assert fill("{id}-{Customer question} {sure} {share} {{x}}", record) == "7-Why? true 0.5 {x}"


@pytest.mark.parametrize("nothing", [None, "", float("nan")])
def test_a_column_without_a_value_makes_none(nothing: object) -> None:
    assert fill("{id}-en", {"id": nothing}) is None


def test_a_value_that_is_no_text_is_refused_with_its_type() -> None:
    with pytest.raises(TypeError, match=r"column 'tags' must hold a text or a number \(got list\)"):
        fill("{tags}", {"tags": ["a"]})


def test_a_template_names_its_columns() -> None:
    assert columns_of("{a}-{b} {{c}}") == ["a", "b"]


@pytest.mark.parametrize("template", ["", " ", "{", "}", "{}", "{a:>5}", "{a!r}"])
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        check_template(template)
