from collections.abc import Callable

import pytest

from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.preparation.personal_data.name_model import check_installed, find_names
from tunegate.data.preparation.personal_data.tags import fingerprint
from tunegate.data.rows import Row
from tunegate.errors import MachineError
from tunegate.params import PersonalData

pytest.importorskip("presidio_analyzer")
Make = Callable[..., Row]
KEY = b"k" * 40
TEXT = "My name is John Peterson and I live in Chicago, a@firm.se."


def test_names_are_found_with_their_kind_and_one_form_for_all_cases() -> None:
    found = [(span.kind, span.normal) for span in find_names(TEXT)]
    assert found == [("person", "john peterson"), ("location", "chicago")]


def test_a_placeholder_is_not_a_name() -> None:
    assert not list(find_names("[PERSON] lives in [LOCATION] and writes from [EMAIL]."))


def test_the_model_is_not_asked_about_rows_of_another_language(row: Make) -> None:
    masker = Masker(PersonalData(kinds=("email", "person"), model=True))
    english, _ = masker.treat(row("1", text=TEXT))
    swedish, changes = masker.treat(row("2", text=TEXT, slices={"language": "sv"}))
    assert english is not None and english.text == "My name is [PERSON] and I live in Chicago, [EMAIL]."
    assert swedish is not None and swedish.text == TEXT.replace("a@firm.se", "[EMAIL]")
    assert changes == ["masked: email"]


def test_a_name_gets_the_same_tag_in_every_text_and_is_not_tagged_again() -> None:
    settings = PersonalData(kinds=("person", "location"), model=True, action="tag", key=fingerprint(KEY))
    masker = Masker(settings, KEY)
    once = masker.treat_text(TEXT)
    assert "Peterson" not in once and "Chicago" not in once
    assert masker.treat_text(once) == once
    name = once.removeprefix("My name is ").split(" and ")[0]
    assert masker.treat_text("We saw John Peterson in the yard.") == f"We saw {name} in the yard."


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunegate.data.preparation.personal_data.name_model.MODEL", "no_such_model")
    with pytest.raises(MachineError, match="needs no_such_model, not installed") as caught:
        check_installed()
    assert "personal-data" in caught.value.remedy
