import shutil
from pathlib import Path

import pytest

from tunegate.errors import RefusedError
from tunegate.files import read_json, read_yaml, sha256_of, write_yaml
from tunegate.models.base_identity import base_parts
from tunegate.models.loading import load_base
from tunegate.stages import base


@pytest.fixture
def project(tiny_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose catalogue has the tiny model under three names, the teacher's weights other ones."""
    import torch

    monkeypatch.chdir(tiny_project)
    shutil.copytree("base-model", "teacher-model")
    model = load_base(Path("teacher-model"), device="cpu", precision="fp32")
    with torch.no_grad():
        model.model.norm.weight.mul_(2)
    model.save_pretrained("teacher-model")
    catalogue = read_yaml(Path("models/catalog.yaml"))
    entry = catalogue["models"]["tiny"]
    files = {file.name: sha256_of(file) for file in sorted(Path("teacher-model").iterdir())}
    catalogue["models"]["wise"] = entry | {"source": {"kind": "folder", "path": "teacher-model", "files": files}}
    catalogue["models"]["closed"] = entry | {"license": "Proprietary"}
    write_yaml(Path("models/catalog.yaml"), catalogue)
    return tiny_project


def run_with(**changes: str) -> None:
    params = read_yaml(Path("params.yaml"))
    params["base"] |= changes
    if "teacher" in changes:
        params["train"]["technique"] = "distill"
    if "translator" in changes:
        params["tokenize"]["augment"] = [{"kind": "back_translation", "templates": ["{text}", "{text}"]}]
    write_yaml(Path("params.yaml"), params)
    base.main("params.yaml", "models/catalog.yaml", "models/templates", "models/base")


def test_the_teacher_and_the_translator_stand_beside_the_base_each_with_its_provenance(project: Path) -> None:
    run_with(teacher="wise", translator="tiny")
    for place, name in {".": "tiny", "teacher": "wise", "translator": "tiny"}.items():
        folder = Path("models/base") / place
        record = read_json(folder / "provenance.json")
        assert record["model"] == name
        assert record["files"]["model.safetensors"] == sha256_of(folder / "model.safetensors")


def test_another_teacher_is_another_base_and_no_teacher_is_the_base_alone(project: Path) -> None:
    found = {}
    run_with()
    found["alone"] = base_parts(Path("models/base"))["base"]
    for teacher in ("wise", "tiny"):
        run_with(teacher=teacher)
        found[teacher] = base_parts(Path("models/base"))["base"]
    assert len(set(found.values())) == 3
    shutil.rmtree("models/base/teacher")
    assert base_parts(Path("models/base"))["base"] == found["alone"]


def test_a_teacher_whose_licence_is_not_allowed_is_refused_before_anything_is_fetched(project: Path) -> None:
    with pytest.raises(RefusedError, match="licence 'Proprietary' is not allowed"):
        run_with(teacher="closed")
    assert not Path("models/base").exists()
