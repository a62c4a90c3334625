from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from verdicts import metric, verdict

from tunegate.gate.verdict import EXIT_CODES, Outcome, Verdict, schema


def test_a_verdict_survives_its_own_json_which_the_published_schema_describes() -> None:
    made = verdict(contamination={"exact": ["row-1"]}, metrics=[metric(baseline=None, difference=None)])
    values = made.model_dump(mode="json")
    jsonschema.validate(values, schema())
    assert Verdict.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("change", [{"outcome": "passed"}, {"schema_version": 2}, {"when": "today"}])
def test_another_verdict_is_refused_by_the_schema_and_by_the_type(change: dict[str, Any]) -> None:
    values = verdict().model_dump(mode="json") | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema())
    with pytest.raises(ValidationError):
        Verdict.model_validate(values)


@pytest.mark.parametrize(("outcome", "code"), [("pass", 0), ("refused", 3), ("inconclusive", 4)])
def test_each_outcome_has_its_exit_code(outcome: Outcome, code: int) -> None:
    assert verdict(outcome=outcome).exit_code == code
    assert len(EXIT_CODES) == 3
