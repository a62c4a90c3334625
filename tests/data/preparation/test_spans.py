from typing import NamedTuple

from tunegate.data.preparation.spans import first_come, replaced


class Part(NamedTuple):
    start: int
    end: int
    name: str


def test_the_first_to_come_keeps_its_place_and_the_result_is_in_order() -> None:
    parts = [Part(4, 6, "b"), Part(5, 7, "late"), Part(0, 2, "a"), Part(6, 7, "c")]
    assert [part.name for part in first_come(parts, 8)] == ["a", "b", "c"]


def test_places_are_replaced_and_what_is_between_them_stays() -> None:
    assert replaced("aa bb cc", [Part(0, 2, "x"), Part(6, 8, "yyy")], lambda part: part.name) == "x bb yyy"
    assert replaced("aa", [], lambda part: "") == "aa"
