from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.files import write_json
from tunegate.models.folders import TUNED, TunedRecord, read_record


def test_a_record_is_read_as_written_and_a_folder_without_one_holds_a_lora_adapter(tmp_path: Path) -> None:
    assert (read_record(tmp_path).technique, read_record(tmp_path).adapter) == ("sft", "lora")
    record = TunedRecord(technique="classify", adapter="head", labels=("a", "b"), multi_label=True, seed=11)
    write_json(tmp_path / TUNED, record.model_dump(mode="json"))
    assert read_record(tmp_path) == record


def test_a_record_of_an_unknown_adapter_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / TUNED, {"technique": "sft", "adapter": "lorra"})
    with pytest.raises(InputError, match="lorra") as caught:
        read_record(tmp_path)
    assert caught.value.place == f"{tmp_path / TUNED}: adapter"
