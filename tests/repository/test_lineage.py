from pathlib import Path

import pytest

from tunegate.errors import RefusedError
from tunegate.files import write_json
from tunegate.repository.lineage import Parts, check, lineage_of, read_lineage

PARTS = Parts(data="1", params="2", base="3", template="4", tokenizer="5", code="6", lock="7")


@pytest.mark.parametrize("part", Parts.model_fields)
def test_every_part_changes_the_key(part: str) -> None:
    assert lineage_of(PARTS.model_copy(update={part: "other"})).key != lineage_of(PARTS).key


def test_a_key_that_is_not_its_parts_is_refused(tmp_path: Path) -> None:
    forged = lineage_of(PARTS).model_copy(update={"parts": PARTS.model_copy(update={"data": "forged"})})
    with pytest.raises(RefusedError, match="does not match its parts"):
        check(forged, place="manifest.json")
    write_json(tmp_path / "lineage.json", forged.model_dump())
    with pytest.raises(RefusedError, match="does not match its parts"):
        read_lineage(tmp_path)
