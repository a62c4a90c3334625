from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from tunegate.errors import InputError
from tunegate.params import Closed, load_params, parse

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


class Part(Closed):
    size: int
    names: tuple[str, ...] = ()


class Whole(Closed):
    parts: list[Part]


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
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
        (
            "  over_length: drop",
            "  over_length: dorp",
            "params.yaml: tokenize.over_length: must be 'drop', 'truncate', 'split' or",
        ),
        ("  repair_text: true", "  repair_text: yes", "params.yaml: prepare.repair_text: ambiguous value"),
        ("  seed: 7", "  seed: 7\n  seed: 8", "duplicate key"),
        ("  suite: questions", "  suite: 7", "params.yaml: validate.suite: must be a valid string (got 7)"),
    ],
)
def test_a_bad_param_is_refused_with_its_place_and_value(
    fault: Callable[[str, str], str], line: str, instead: str, problem: str
) -> None:
    assert problem in fault(line, instead)


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


def test_the_place_of_a_fault_in_a_list_has_its_number_and_the_names_are_those_of_its_model() -> None:
    values = {"parts": [{"size": 1, "names": ["a"]}, {"size": 2, "nmaes": []}]}
    with pytest.raises(InputError) as caught:
        parse(Whole, values, place="parts.yaml", remedy="mend it")
    assert (caught.value.place, caught.value.remedy) == ("parts.yaml: parts[1].nmaes", "mend it")
    assert "did you mean 'names'?" in caught.value.problem


def test_an_unknown_key_is_told_before_what_is_missing_because_of_it() -> None:
    with pytest.raises(InputError, match="unknown key; did you mean 'size'"):
        parse(Part, {"siez": 1}, place="part.yaml", remedy="")
