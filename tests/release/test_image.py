import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunegate.errors import MachineError, RefusedError
from tunegate.files import sha256_of
from tunegate.models.manifest import MODEL_FILE, read_manifest
from tunegate.release import builders
from tunegate.release.image import build_bento, build_image

ROOT = Path(__file__).resolve().parents[2]
PODMAN = ["podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]


@pytest.fixture
def project(tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `tunegate image build` needs of a project, with the tiny package, and a bento store of its own."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    folder = tmp_path / "project"
    shutil.copytree(tiny_package, folder / "models/package")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/serve.txt", folder / "requirements")
    shutil.copy(ROOT / "bentofile.yaml", folder)
    return folder


def test_a_bento_contains_the_weights_the_code_and_its_lineage(project: Path) -> None:
    bento = build_bento(project)
    source = bento.folder / "src"
    assert sha256_of(source / "models/package" / MODEL_FILE) == sha256_of(project / "models/package" / MODEL_FILE)
    assert (source / "src/tunegate/serving/service.py").is_file()
    assert bento.lineage_key == read_manifest(project / "models/package").lineage.key
    assert bento.lineage_key[:63] in (bento.folder / "bento.yaml").read_text()


def test_equal_content_is_one_version_and_another_package_is_another(project: Path) -> None:
    first = build_bento(project)
    built_at = (first.folder / "bento.yaml").stat().st_mtime_ns
    assert build_bento(project) == first
    assert (first.folder / "bento.yaml").stat().st_mtime_ns == built_at
    readme = project / "src/tunegate/serving/protocol.py"
    readme.write_text(readme.read_text() + "\n")
    assert build_bento(project).tag != first.tag


def test_a_tampered_package_becomes_no_bento(project: Path) -> None:
    (project / "models/package/tokenizer.json").write_text("{}")
    with pytest.raises(RefusedError, match=r"tokenizer\.json has changed"):
        build_bento(project)
    assert not list((project.parent / "bentoml").rglob("bento.yaml"))


def _backend() -> str | None:
    try:
        return builders.find_backend(None)
    except MachineError:
        return None


@pytest.fixture
def container(project: Path) -> Iterator[Callable[[str], str]]:
    """Builds the image and runs it; yields a function that fetches a path from it."""
    bento = f"localhost/tunegate-test:{int(time.time())}"
    name, used = build_image(project, backend=None, base_image=None, tag=bento)
    tool = ["docker"] if used == "docker" else PODMAN
    command = [*tool, "run", "--detach", "--network", "host", "--env", "BENTOML_HOST=127.0.0.1"]
    command += ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--env", "BENTOML_PORT=3947", name]
    started = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def fetch(path: str) -> str:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:3947{path}", timeout=10) as reply:
                    return str(reply.read().decode())
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.5)

    try:
        yield fetch
    finally:
        for words in (["stop", started], ["rm", "--force", started], ["rmi", "--force", name]):
            subprocess.run([*tool, *words], capture_output=True, check=False)


@pytest.mark.image
@pytest.mark.skipif(_backend() is None, reason="neither a Docker daemon nor buildah works here")
def test_a_container_of_the_image_answers_with_its_lineage(container: Callable[[str], str], project: Path) -> None:
    container("/readyz")
    reply = json.loads(container("/v1/lineage"))
    assert reply["lineage_key"] == read_manifest(project / "models/package").lineage.key
