import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tunegate
from tunegate.cli.init import OVERLAY, PINNED, project_files, template
from tunegate.errors import InputError
from tunegate.files import files_below, read_text, read_yaml, write_text
from tunegate.gate.policy import Policy
from tunegate.models.catalogue import find_entry
from tunegate.params import load_params, parse

ROOT = Path(__file__).resolve().parents[2]
OWN = (
    *(".ci/", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "bench/", "docs/", "dvc.lock", "examples/"),
    *("policy/gate.yaml", "pyproject.toml", "reports/", "requirements/overrides.txt", "src/", "tests/"),
)
"""What git tracks here and a new project does not get: the toolkit itself, and the results of the default project."""


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunegate.cli", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "my-model"
    done = run("init", str(folder), cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working copy, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def written(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): read_text(path)
        for path in files_below(folder)
        if path.relative_to(folder).parts[0] != ".git" and path.suffix != ".whl"
    }


def test_every_file_that_git_tracks_is_shipped_or_the_toolkits_own() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git working copy")
    guides = {path for path in template() if path.startswith("docs/")}
    wanted = {path for path in listed if not path.startswith(OWN)} | guides | {"tests/test_project.py"}
    assert sorted(template()) == sorted(wanted | {"reports/.gitignore"})


def test_a_new_project_is_the_repositorys_own_files_but_for_the_rules(project: Path) -> None:
    new = written(project)
    overlay = {path.relative_to(OVERLAY).as_posix() for path in files_below(OVERLAY)}
    changed = {"params.yaml", *PINNED}
    assert set(new) == set(template()) | overlay
    for path in set(new) - overlay - changed:
        assert new[path] == read_text(ROOT / path), path


def test_a_new_project_has_the_same_pipeline_and_keys_and_pins_tunegate(project: Path) -> None:
    for name in ("dvc.yaml", "requirements/stages/train.txt"):
        assert (project / name).read_bytes() == (ROOT / name).read_bytes()
    for path in PINNED:
        assert (project / path).read_text() == (ROOT / path).read_text() + f"tunegate=={tunegate.__version__}\n"


def test_a_new_project_brings_the_tunegate_that_its_lock_names(project: Path, tmp_path: Path) -> None:
    install = ["uv", "pip", "install", "--quiet", "--offline", "--no-index", "--no-deps", "--target", str(tmp_path)]
    install += ["--find-links", str(project / "requirements/wheels"), f"tunegate=={tunegate.__version__}"]
    subprocess.run([Path(sys.executable).parent / install[0], *install[1:]], check=True)
    assert (tmp_path / "tunegate/template/dvc.yaml").is_file()


def test_a_new_project_has_a_name_of_its_own(project: Path, tmp_path: Path) -> None:
    assert read_yaml(project / "params.yaml")["score"]["name"] == "my-model"
    assert (project / "README.md").read_text().startswith("# my-model\n")
    ours, theirs = ((folder / "params.yaml").read_text().splitlines() for folder in (ROOT, project))
    assert len([line for line in ours if line not in theirs]) == 1
    assert run("init", "x", "--name", "other", cwd=tmp_path).returncode == 0
    assert read_yaml(tmp_path / "x" / "params.yaml")["score"]["name"] == "other"


def test_a_wheel_writes_the_same_project_as_the_repository(wheel: Path, project: Path, tmp_path: Path) -> None:
    done = run("init", "my-model", cwd=tmp_path, PYTHONPATH=str(wheel))
    assert done.returncode == 0, done.stderr
    assert (wheel / "tunegate" / "template").is_dir()
    assert written(tmp_path / "my-model") == written(project)


def test_a_new_project_is_a_repository_of_git_and_dvc_with_nothing_left_out(project: Path) -> None:
    status = ["git", "status", "--porcelain", "--untracked-files=all"]
    listed = subprocess.run(status, cwd=project, capture_output=True, text=True, check=True).stdout.splitlines()
    content = {line.removeprefix("?? ") for line in listed}
    assert {path for path in content if not path.endswith(".whl")} == set(written(project)), "none of it is ignored"
    assert len(content) == len(written(project)) + 1, "and tunegate's wheel"
    stages = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert stages.stdout.split() == list(read_yaml(ROOT / "dvc.yaml")["stages"])


def test_a_new_project_passes_its_own_tests(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_to_do_next_is_said(tmp_path: Path) -> None:
    done = run("init", "my-model", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "my-model is ready. Next:",
        "  cd my-model",
        "  git add . && git commit -m 'A new project'",
        "  dvc repro",
    ]


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    done = run("init", "full", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: full: exists")
    assert [path.name for path in files_below(tmp_path)] == ["thesis.txt"]


@pytest.mark.parametrize("target", [".", "file"])
def test_the_folder_one_stands_in_and_a_file_are_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("mine")
    done = run("init", target, cwd=tmp_path)
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("init", "empty", cwd=tmp_path).returncode == 0
    assert (tmp_path / "empty" / ".git").is_dir()


def test_without_git_nothing_is_left_behind(tmp_path: Path) -> None:
    done = run("init", "my-model", cwd=tmp_path, PATH="")
    assert done.returncode == 1
    assert done.stderr.startswith("error: PATH: git is not installed\n")
    assert list(tmp_path.iterdir()) == []


def test_a_git_hook_around_it_does_not_lead_it_astray(tmp_path: Path) -> None:
    done = run("init", "my-model", cwd=tmp_path, GIT_DIR=str(tmp_path / "other"), GIT_INDEX_FILE="index")
    assert done.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-model"]


@pytest.mark.parametrize("name", ["", "two\nlines", "a/b", "$(x)", "å"])
def test_a_name_that_params_would_refuse_is_refused_before(name: str) -> None:
    with pytest.raises(InputError, match="must be"):
        project_files(name)


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir()))
def test_an_example_is_a_project_of_valid_files_of_its_own(example: str, tmp_path: Path) -> None:
    files = project_files("my-router", example)
    for path, text in files.items():
        write_text(tmp_path / path, text)
    params = load_params(tmp_path / "params.yaml")
    assert params.score.name == "my-router"
    find_entry(tmp_path / "models/catalog.yaml", params.base.model, params.base.allowed_licenses)
    assert parse(Policy, read_yaml(tmp_path / "policy/gate.yaml"), place="policy", remedy="").metrics
    own = [path.relative_to(ROOT / "examples" / example) for path in files_below(ROOT / "examples" / example)]
    assert {"params.yaml", "README.md", "models/catalog.yaml", "policy/gate.yaml"} <= {path.as_posix() for path in own}
    assert all(files[path.as_posix()] == read_text(ROOT / "examples" / example / path) for path in own[:2])
    assert files["dvc.yaml"] == project_files("my-router")["dvc.yaml"]


def test_an_unknown_example_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no example 'no-such'") as caught:
        project_files("my-router", "no-such")
    assert "route-encoder" in caught.value.remedy
