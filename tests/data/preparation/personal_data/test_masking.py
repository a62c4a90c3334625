import json
import random
import re
import string
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tunegate.data.preparation.personal_data.key import fingerprint
from tunegate.data.preparation.personal_data.masking import Personal
from tunegate.data.preparation.personal_data.rules import find
from tunegate.data.rows import Row
from tunegate.errors import InputError
from tunegate.params import PersonalData

Make = Callable[..., Row]
KEY = b"k" * 40
RULED = ("email", "phone", "iban", "credit_card", "ip_address", "national_id")
MASK = Personal(PersonalData())
SURROGATES = Personal(PersonalData(action="pseudonymise", key=fingerprint(KEY)), KEY)
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
        found = {(plain[span.start : span.end], span.kind) for span in find(plain)}
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
    assert Personal(PersonalData(action="drop")).treat(given) == (None, ["found: email"])
    assert Personal(PersonalData(action="keep")).treat(given) == (given, ["found: email"])
    clean = row("2")
    assert Personal(PersonalData(action="drop")).treat(clean) == (clean, [])


def test_a_kind_that_is_not_asked_for_is_left_alone() -> None:
    only = Personal(PersonalData(kinds=("phone",)))
    assert only.treat_text("a@firm.se, 070-123 45 67, 4539148803436467") == "a@firm.se, [PHONE], 4539148803436467"


@pytest.mark.parametrize("personal", [MASK, SURROGATES], ids=["mask", "surrogates"])
def test_treating_treated_text_changes_nothing(personal: Personal) -> None:
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
    assert all(not find(text) for text, may in zip(texts, over_arrow, strict=False) if not may)
    assert not MASK.may_concern("The roof has leaked since 2019, at 35 places; it costs 1200 kr.")


def test_one_person_gets_one_surrogate_in_all_rows_sources_and_writings(row: Make) -> None:
    pairs = [
        ("Anna.Berg@Firm.se", "anna.berg [at] firm [dot] se", "ANNA.BERG@FIRM.SE", "Mail anna.berg(at)firm.se"),
        ("+46 (0)70 123 45 67", "070-123 45 67", "0046 70 1234567", "0701234567"),
        ("SE45 5000 0000 0583 9825 7466", "se4550000000058398257466"),
        ("811228-9874", "19811228-9874", "personnummer 8112289874"),
        ("AB 12 34 56 C", "ab 123456 c"),
        ("4539 1488 0343 6467", "4539148803436467"),
    ]
    for writings in pairs:
        made = {bare(SURROGATES.treat(row(str(i), text=text, source=f"s{i}"))[0]) for i, text in enumerate(writings)}
        assert len(made) == 1, made
    assert SURROGATES.treat_text("anna.berg@firm.se") != SURROGATES.treat_text("anna@firm.se")


def bare(row: Row | None) -> str:
    """The last nine letters and digits of a text: what neither a country's code nor a century changes."""
    assert row is not None and row.text is not None
    return re.sub(r"[\W_]", "", row.text).lower()[-9:]


def test_another_key_makes_other_surrogates() -> None:
    other = Personal(PersonalData(action="pseudonymise", key=fingerprint(b"o" * 40)), b"o" * 40)
    assert SURROGATES.treat_text("a@firm.se") != other.treat_text("a@firm.se")


def test_surrogates_without_a_key_or_with_another_are_refused_by_name_and_never_printed() -> None:
    wanted = PersonalData(action="pseudonymise", key=fingerprint(KEY))
    for settings, key, problem in (
        (wanted, None, "TUNEGATE_PSEUDONYM_KEY is not set"),
        (wanted, b"o" * 40, f"{fingerprint(KEY)} is not the fingerprint of the key"),
        (PersonalData(action="pseudonymise"), KEY, "missing: the key in TUNEGATE_PSEUDONYM_KEY has the fingerprint"),
    ):
        with pytest.raises(InputError, match=problem) as caught:
            Personal(settings, key)
        assert caught.value.place == "params.yaml: prepare.personal_data.key"
        assert caught.value.remedy
        assert key is None or key.decode() not in str(caught.value)


def test_names_without_the_model_and_a_model_without_names_are_refused() -> None:
    with pytest.raises(InputError, match="only the model finds person"):
        Personal(PersonalData(kinds=("email", "person")))
    with pytest.raises(InputError, match="the model is asked for nothing"):
        Personal(PersonalData(kinds=("email",), model=True))


def test_the_examples_of_the_page_are_what_is_done() -> None:
    page = (Path(__file__).parents[4] / "docs/personal-data.md").read_text(encoding="utf-8")
    table = page.split("| in the row | mask | pseudonymise |\n|---|---|---|\n")[1].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert len(rows) == 12
    for written, mask, made in rows:
        assert MASK.treat_text(written) == (written if mask == "the same" else mask)
        assert SURROGATES.treat_text(written) == (written if made == "the same" else made)
