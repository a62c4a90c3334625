import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunegate.errors import InputError
from tunegate.files import read_json, sha256_of, write_json
from tunegate.models.base_identity import base_parts


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model as the stage `base` leaves it."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    write_json(folder / "provenance.json", {"files": {file.name: sha256_of(file) for file in folder.iterdir()}})
    return folder


def changed(name: str, value: Any) -> Callable[[Path], None]:
    return lambda base: write_json(base / "config.json", read_json(base / "config.json") | {name: value})


def with_teacher(base: Path) -> None:
    shutil.copytree(base, base / "teacher")


def without_template(base: Path) -> None:
    (base / "chat_template.jinja").unlink()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (changed("transformers_version", "0.0"), set()),
        (changed("rms_norm_eps", 0.1), {"base"}),
        (with_teacher, {"base"}),
        (without_template, {"template"}),
    ],
)
def test_what_decides_the_numbers_is_in_the_identity_and_a_version_is_not(
    base: Path, change: Callable[[Path], None], parts: set[str]
) -> None:
    before = base_parts(base)
    change(base)
    after = base_parts(base)
    assert {name for name in before if before[name] != after[name]} == parts


def test_a_base_without_weights_is_refused(base: Path) -> None:
    write_json(base / "provenance.json", {"files": {"config.json": "0"}})
    with pytest.raises(InputError, match="no safetensors"):
        base_parts(base)
