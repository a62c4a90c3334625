from pathlib import Path

import pytest

from tunegate.data.diff.ledger_table import balance, table_of
from tunegate.data.ledger.stage_ledger import combine
from tunegate.errors import InputError
from tunegate.files import read_json, write_json


def test_a_ledger_of_an_older_version_without_row_outcomes_is_to_be_written_again(staged_project: Path) -> None:
    path = Path("data/tokens/ledger.json")
    write_json(path, {name: value for name, value in read_json(path).items() if name != "outcomes"})
    combined = combine([Path("data") / name for name in ("ingested", "validated", "prepared", "tokens")])
    for read in (balance, table_of):
        with pytest.raises(InputError, match="row outcomes") as caught:
            read(combined)
        assert "`dvc repro tokenize`" in caught.value.remedy
