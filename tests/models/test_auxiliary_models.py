import shutil
from pathlib import Path

import pytest

from tunegate.errors import InputError
from tunegate.files import read_json, write_json
from tunegate.models.auxiliary_models import require_same_vocabulary


def test_a_teacher_with_the_same_tokens_is_accepted(tiny_model: Path, tmp_path: Path) -> None:
    teacher = Path(shutil.copytree(tiny_model, tmp_path / "teacher"))
    require_same_vocabulary(tiny_model, teacher)


def test_a_teacher_with_other_tokens_is_refused_with_what_differs(tiny_model: Path, tmp_path: Path) -> None:
    teacher = Path(shutil.copytree(tiny_model, tmp_path / "teacher"))
    tokens = read_json(teacher / "tokenizer.json")
    vocabulary = tokens["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    number = vocabulary[last]
    tokens["model"]["merges"] = [pair for pair in tokens["model"]["merges"] if "".join(pair) != last]
    del vocabulary[last]
    vocabulary["other"] = number
    write_json(teacher / "tokenizer.json", tokens)
    with pytest.raises(InputError, match=r"'other' missing → \d+") as caught:
        require_same_vocabulary(tiny_model, teacher)
    assert f"{last!r} {number} → missing" in caught.value.problem
    assert caught.value.place == "params.yaml: base.teacher"
