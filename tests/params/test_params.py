from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tunegate.errors import InputError
from tunegate.params import Params, load_params

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def fault(tmp_path: Path) -> Callable[[str, str], str]:
    """What load_params says after one line of the shipped file was replaced."""

    def of(line: str, instead: str) -> str:
        text = SHIPPED.read_text()
        assert text.count(f"{line}") == 1
        (tmp_path / "params.yaml").write_text(text.replace(line, instead))
        with pytest.raises(InputError) as caught:
            load_params(tmp_path / "params.yaml")
        assert caught.value.remedy
        return f"{caught.value.place}: {caught.value.problem}".replace(f"{tmp_path}/", "")

    return of


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("  rank: 16", "  rnak: 16", "params.yaml: train.rnak: unknown key; did you mean 'rank'?"),
        ("  rank: 16", "  rank: 16\n  xyzzy: 1", "params.yaml: train.xyzzy: unknown key"),
        ("validate:\n", "validat:\n", "params.yaml: validat: unknown key; did you mean 'validate'?"),
        ("  rank: 16", "  rank: 0", "params.yaml: train.rank: must be greater than or equal to 1 (got 0)"),
        ("  rank: 16", "  rank: 16.5", "params.yaml: train.rank: must be a valid integer"),
        ("  rank: 16", "  rank: many", "params.yaml: train.rank: must be a valid integer"),
        ("  rank: 16", "  rank:", "params.yaml: train.rank: must be a valid integer"),
        (
            "  learning_rate: 0.002",
            "  learning_rate: .nan",
            "params.yaml: train.learning_rate: must be a finite number",
        ),
        ("  learning_rate: 0.002", "  learning_rate: .inf", "params.yaml: train.learning_rate: must be"),
        (
            "  learning_rate: 0.002",
            "  learning_rate: 2",
            "params.yaml: train.learning_rate: must be less than or equal",
        ),
        ("  learning_rate: 0.002", "  learning_rate: 2e-3", "ambiguous value: the number 2e-3 in YAML 1.2"),
        ("  test_share: 0.2", "  test_share: 1.4", "params.yaml: prepare.test_share: must be less than 1 (got 1.4)"),
        (
            "  test_share: 0.2",
            "  test_share: 0.95",
            "params.yaml: prepare: test_share + valid_share must be less than 1",
        ),
        (
            "  technique: sft",
            "  technique: distill",
            "params.yaml: base.teacher must be named for technique distill, and for no other",
        ),
        ("  teacher: null", "  teacher: a", "params.yaml: base.teacher must be named for technique distill"),
        (
            "  over_length: drop",
            "  over_length: dorp",
            "params.yaml: tokenize.over_length: must be 'drop', 'truncate', 'split' or",
        ),
        ("  repair_text: true", "  repair_text: yes", "params.yaml: prepare.repair_text: ambiguous value"),
        ("  split_key: permit-helpdesk", '  split_key: ""', "params.yaml: prepare.split_key: "),
        ("  seed: 7", "  seed: 7\n  seed: 8", "duplicate key"),
        ("  suite: questions", "  suite: 7", "params.yaml: validate.suite: must be a valid string (got 7)"),
    ],
)
def test_a_bad_param_is_refused_with_its_place_and_value(
    fault: Callable[[str, str], str], line: str, instead: str, said: str
) -> None:
    assert said in fault(line, instead)


def test_a_section_that_is_missing_is_named(fault: Callable[[str, str], str]) -> None:
    assert fault("\ningest:\n  limit: null\n", "\n") == "params.yaml: ingest: missing"


@pytest.mark.parametrize("text", ["", "[]\n", "just text\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match="must be"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("line", "instead"), [("  rank: 16", '  rank: "16"'), ("  rank: 16", "  rank: true"), ("  seed: 7", "  seed: 7.0")]
)
def test_a_type_is_not_converted_in_silence(fault: Callable[[str, str], str], line: str, instead: str) -> None:
    assert "must be a valid integer" in fault(line, instead)


def test_params_do_not_change_after_they_were_read() -> None:
    params = load_params(SHIPPED)
    with pytest.raises(ValidationError, match="frozen"):
        params.train.rank = 8  # type: ignore[misc]


def test_every_key_has_a_documented_meaning() -> None:
    for section in Params.model_fields.values():
        model = section.annotation
        assert model is not None
        assert model.__doc__
        for key, field in model.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, f"{model.__name__}.{key}"


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ("[{kind: template}]", "at least one text in templates with kind template (got 0)"),
        ('[{kind: template, templates: ["hi"]}]', "templates with {text} in each"),
        ('[{kind: typo, templates: ["{text}"]}]', "no templates with kind typo (got 1)"),
        ('[{kind: template, templates: ["{text}"], rate: 0.1}]', "no rate with kind template"),
        ('[{kind: back_translation, templates: ["{text}"]}]', "two prompts in templates with kind back_translation"),
        (
            '[{kind: back_translation, templates: ["a {text}", "b {text}"], copies: 2}]',
            "one copy with kind back_translation",
        ),
        (
            '[{kind: back_translation, templates: ["a {text}", "b {text}"]}]',
            "base.translator must be named for augment kind back_translation",
        ),
    ],
)
def test_an_augmentation_that_says_too_little_or_nothing_is_refused(
    fault: Callable[[str, str], str], instead: str, said: str
) -> None:
    assert said in fault("  augment: []", f"  augment: {instead}")


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("  over_length: drop", "  over_length: split", "tokenize.over_length must not be split with technique sft"),
        ("  translator: null", "  translator: other", "base.translator must be named for augment kind"),
        (
            "  turns: last\n  augment: []\n\ntrain:\n  technique: sft",
            "  turns: all\n  augment: []\n\ntrain:\n  technique: pretrain",
            "tokenize.turns must be last with technique pretrain",
        ),
    ],
)
def test_rows_are_treated_only_as_the_technique_can(
    fault: Callable[[str, str], str], line: str, instead: str, said: str
) -> None:
    assert said in fault(line, instead)
