import json
from pathlib import Path

import pytest

from tunegate.errors import InputError, RefusedError
from tunegate.models.manifest import FILE, BaseModelRecord, read_manifest, verify, write_manifest
from tunegate.repository.lineage import Parts, lineage_of

LINEAGE = lineage_of(Parts(**dict.fromkeys(Parts.model_fields, "0" * 64)))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "model.gguf").write_bytes(b"weights")
    (tmp_path / "adapter" / "config.json").write_text("{}")
    write_manifest(
        tmp_path,
        model="helpdesk",
        lineage=LINEAGE,
        base=BaseModelRecord(name="base", license="MIT", sha256="0" * 64),
        metrics={"accuracy": 0.5, "slices": {"language": {"sv": 0.4}}},
        export="f16",
        merge_check={"largest": 1e-5},
    )
    return tmp_path


def test_a_package_as_it_was_written_is_proven(package: Path) -> None:
    manifest = verify(package)
    assert set(manifest.files) == {"model.gguf", "adapter/config.json"}
    assert manifest == read_manifest(package)
    assert manifest.metrics["slices"] == {"language": {"sv": 0.4}}


def test_every_changed_missing_and_unlisted_file_is_named(package: Path) -> None:
    (package / "model.gguf").write_bytes(b"Weights")
    (package / "adapter" / "config.json").unlink()
    (package / "extra").write_text("")
    with pytest.raises(RefusedError) as caught:
        verify(package)
    for part in ("model.gguf has changed", "adapter/config.json is missing", "extra is not listed"):
        assert part in caught.value.problem
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("where", ["key", "part"])
def test_a_lineage_key_that_is_not_its_parts_is_refused(package: Path, where: str) -> None:
    content = json.loads((package / FILE).read_text())
    if where == "key":
        content["lineage"]["key"] = "f" * 64
    else:
        content["lineage"]["parts"]["data"] = "f" * 64
    (package / FILE).write_text(json.dumps(content))
    with pytest.raises(RefusedError, match="does not match its parts"):
        verify(package)


def test_a_manifest_with_an_unknown_key_or_of_another_format_is_refused(package: Path) -> None:
    content = json.loads((package / FILE).read_text())
    for change in ({"signature": "x"}, {"format": 2}):
        (package / FILE).write_text(json.dumps(content | change))
        with pytest.raises(InputError) as caught:
            read_manifest(package)
        assert next(iter(change)) in caught.value.place


def test_a_folder_without_a_manifest_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        verify(tmp_path)


def test_a_manifest_of_an_earlier_release_is_read(package: Path) -> None:
    written = json.loads((package / FILE).read_text(encoding="utf-8"))
    del written["auxiliary_models"]
    written["companions"] = {"teacher": {"name": "large", "license": "MIT"}}
    (package / FILE).write_text(json.dumps(written), encoding="utf-8")
    assert read_manifest(package).auxiliary_models["teacher"].name == "large"
