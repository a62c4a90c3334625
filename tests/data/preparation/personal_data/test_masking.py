import json
import random
import re
import string
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.preparation.personal_data.masking import Masker
from tunegate.data.preparation.personal_data.rules import find
from tunegate.data.preparation.personal_data.tags import fingerprint
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import PersonalData

Make = Callable[..., Row]
KEY = b"k" * 40
RULED = ("email", "phone", "iban", "credit_card", "ip_address", "national_id")
REGIONS = ("SE", "GB", "US")
MASK = Masker(PersonalData())
TAGS = Masker(PersonalData(action="tag", key=fingerprint(KEY)), KEY)
SENTENCES = [
    json.loads(line) for line in Path(__file__).with_name("sentences.jsonl").read_text(encoding="utf-8").splitlines()
]
PLAIN = [re.sub(r"</?[a-z_]+>", "", sentence["text"]) for sentence in SENTENCES]


def marked(text: str) -> set[tuple[str, str]]:
    return {(part, kind) for kind, part in re.findall(r"<(\w+)>(.*?)</\1>", text) if kind in RULED}


def test_the_marked_sentences_are_enough_to_measure_by() -> None:
    assert len(SENTENCES) >= 100
    assert {sentence["language"] for sentence in SENTENCES} == {"en", "sv"}
    assert sum(not marked(sentence["text"]) for sentence in SENTENCES) >= 40, "what must not be found"


def test_the_rules_find_nine_of_ten_marks_and_nothing_else_but_one_in_fifty() -> None:
    right = wrong = missed = 0
    for sentence, plain in zip(SENTENCES, PLAIN, strict=True):
        wanted = marked(sentence["text"])
        found = {(plain[span.start : span.end], span.kind) for span in find(plain, REGIONS)}
        right, wrong, missed = right + len(found & wanted), wrong + len(found - wanted), missed + len(wanted - found)
    assert right / (right + wrong) >= 0.98
    assert right / (right + missed) >= 0.9


def test_each_kind_gets_its_placeholder_and_is_counted(row: Make) -> None:
    text = "a@firm.se, b@firm.se, 070-123 45 67, SE45 5000 0000 0583 9825 7466, 4539 1488 0343 6467, 81.2.69.142"
    treated, changes = MASK.treat(row("1", text=f"{text}, 811228-9874."))
    assert treated is not None
    assert treated.text == "[EMAIL], [EMAIL], [PHONE], [IBAN], [CREDIT_CARD], [IP_ADDRESS], [NATIONAL_ID]."
    assert changes == [
        "masked: credit_card",
        "masked: email x2",
        "masked: iban",
        "masked: ip_address",
        "masked: national_id",
        "masked: phone",
    ]


def test_every_message_of_a_conversation_is_looked_at(row: Make) -> None:
    messages = tuple({"role": role, "content": f"{role}@firm.se"} for role in ("system", "user", "assistant"))
    treated, changes = MASK.treat(row("1", text=None, label=None, messages=messages))
    assert treated is not None and treated.messages is not None
    assert [message["content"] for message in treated.messages] == ["[EMAIL]"] * 3
    assert changes == ["masked: email x3"]


def test_a_label_of_one_word_is_a_class_and_stays_and_of_several_is_text(row: Make) -> None:
    for label, expected in (("desk@firm.se", "desk@firm.se"), ("ask a@firm.se", "ask [EMAIL]")):
        treated, _ = MASK.treat(row("1", label=label))
        assert treated is not None and treated.label == expected


def test_drop_says_what_was_found_and_keep_counts_without_a_change(row: Make) -> None:
    given = row("1", text="a@firm.se")
    assert Masker(PersonalData(action="drop")).treat(given) == (None, ["found: email"])
    assert Masker(PersonalData(action="keep")).treat(given) == (given, ["found: email"])
    clean = row("2")
    assert Masker(PersonalData(action="drop")).treat(clean) == (clean, [])


def test_a_kind_that_is_not_asked_for_is_left_alone() -> None:
    only = Masker(PersonalData(kinds=("phone",)))
    assert only.treat_text("a@firm.se, 070-123 45 67, 4539148803436467") == "a@firm.se, [PHONE], 4539148803436467"


@pytest.mark.parametrize("personal", [MASK, TAGS], ids=["mask", "tags"])
def test_treating_treated_text_changes_nothing(personal: Masker) -> None:
    for plain in [*PLAIN, " ".join(PLAIN), *noisy_texts(300)]:
        once = personal.treat_text(plain)
        assert personal.treat_text(once) == once, plain


def noisy_texts(count: int) -> list[str]:
    """Sentences and random characters mixed, of a kind that breaks patterns."""
    rng = random.Random(5)
    alphabet = string.digits * 3 + " -.+@:()/[]" * 2 + "aAsSeExkK\u0660\u212a\u017f\u00e5\n"
    noise = ["".join(rng.choices(alphabet, k=rng.randint(5, 60))) for _ in range(count)]
    return [f"{rng.choice(PLAIN)}{text}{rng.choice(PLAIN)}" for text in noise] + noise


def test_the_screen_never_hides_what_the_rules_find_alone_or_over_arrow() -> None:
    texts = [*PLAIN, *noisy_texts(500)]
    over_arrow = MASK.concerns(pa.array([*texts, None])).to_pylist()
    assert over_arrow == [*(MASK.may_concern(text) for text in texts), False]
    assert all(not find(text, REGIONS) for text, may in zip(texts, over_arrow, strict=False) if not may)
    assert not MASK.may_concern("The roof has leaked since 2019, at 35 places; it costs 1200 kr.")


def test_one_value_gets_one_tag_in_all_rows_sources_and_writings(row: Make) -> None:
    for values in (
        ("Anna.Berg@Firm.se", "anna.berg [at] firm [dot] se", "ANNA.BERG@FIRM.SE", "anna.berg(at)firm.se"),
        ("+46 (0)70 123 45 67", "070-123 45 67", "0046 70 1234567", "0701234567"),
        ("SE45 5000 0000 0583 9825 7466", "se4550000000058398257466"),
        ("811228-9874", "19811228-9874"),
        ("AB 12 34 56 C", "ab 123456 c"),
        ("4539 1488 0343 6467", "4539148803436467"),
    ):
        rows = [TAGS.treat(row(str(i), text=text, source=f"s{i}"))[0] for i, text in enumerate(values)]
        assert len({treated.text for treated in rows if treated}) == 1
    assert TAGS.treat_text("anna.berg@firm.se") != TAGS.treat_text("anna@firm.se")


def test_a_tag_is_counted_like_a_mask(row: Make) -> None:
    treated, changes = TAGS.treat(row("1", text="a@firm.se and b@firm.se"))
    assert treated is not None and re.fullmatch(r"\[EMAIL_[0-9a-f]{8}\] and \[EMAIL_[0-9a-f]{8}\]", str(treated.text))
    assert changes == ["tagged: email x2"]


@pytest.mark.parametrize("key", [None, b"o" * 40], ids=["missing", "another"])
def test_tags_need_the_key_of_the_fingerprint(key: bytes | None) -> None:
    with pytest.raises(InputError) as caught:
        Masker(PersonalData(action="tag", key=fingerprint(KEY)), key)
    assert caught.value.place == "params.yaml: prepare.personal_data.key"


def test_a_region_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="'UK'") as caught:
        Masker(PersonalData(regions=("SE", "UK")))
    assert caught.value.place == "params.yaml: prepare.personal_data.regions"


def test_names_without_the_model_and_a_model_without_names_are_refused() -> None:
    with pytest.raises(InputError, match="only the model finds person"):
        Masker(PersonalData(kinds=("email", "person")))
    with pytest.raises(InputError, match="the model has nothing to find"):
        Masker(PersonalData(kinds=("email",), model=True))


def test_the_examples_of_the_page_are_what_is_done() -> None:
    page = (Path(__file__).parents[4] / "docs/personal-data.md").read_text(encoding="utf-8")
    table = page.split("| in the row | mask | tag |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert len(rows) == 12
    for written, mask, made in rows:
        assert MASK.treat_text(written) == (written if mask == "the same" else mask)
        assert TAGS.treat_text(written) == (written if made == "the same" else made)
