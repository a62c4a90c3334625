"""Another version of a package or of tunegate: only the stages that run something else are run again."""

import base64
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tunegate.cli.init import project_files
from tunegate.files import read_text, read_yaml, write_text

BIN = Path(sys.executable).parent
SOURCES = Path(__file__).resolve().parents[2] / "src"
LOCK = "requirements/pipeline.txt"


class Upgrade:
    """A project that has run, and a folder in which other versions are installed, before those of the environment."""

    def __init__(self, root: Path, site: Path) -> None:
        self.root, self.site = root, site

    def call(self, *command: str, code: int = 0) -> str:
        path = os.pathsep.join([str(self.site), str(SOURCES)])
        environment = os.environ | {"PYTHONPATH": path, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        environment.pop("TUNEGATE_TEST_FORKSERVER", None)
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + (done.stderr if code else "")

    def install(self, versions: Mapping[str, str]) -> None:
        """Other versions of packages, from wheels, and in the project's lock."""
        lock = read_text(self.root / LOCK)
        for name, version in versions.items():
            wheel = make_wheel(name, version, self.root.parent)
            offline = ["--quiet", "--offline", "--no-index", "--no-deps", "--target", str(self.site)]
            self.call("uv", "pip", "install", *offline, str(wheel))
            lock, count = re.subn(rf"^{name}==[^\s;\\]+", f"{name}=={version}", lock, flags=re.MULTILINE)
            assert count
        write_text(self.root / LOCK, lock)

    def edit(self, module: str, line: str) -> None:
        """Another tunegate: this one, with a line more in one module."""
        if not (self.site / "tunegate").exists():
            self.call("cp", "-r", str(SOURCES / "tunegate"), str(self.site / "tunegate"))
        path = self.site / "tunegate" / module
        write_text(path, f"{read_text(path)}\n{line}\n")

    def changed(self) -> set[str]:
        """The stages that both DVC and `tunegate plan` would run, for what they read themselves."""
        status: dict[str, list[Any]] = json.loads(self.call("dvc", "status", "--json"))
        plan = {stage["name"]: stage for stage in json.loads(self.call("tunegate", "plan", "--json"))["stages"]}
        runs = {name for name, stage in plan.items() if any(c["kind"] != "upstream" for c in stage["causes"])}
        assert status.keys() == runs
        return runs

    def reasons(self) -> dict[str, list[str]]:
        stages = json.loads(self.call("tunegate", "plan", "--json"))["stages"]
        return {s["name"]: [c["text"] for c in s["causes"] if c["kind"] in ("code", "environment")] for s in stages}

    def lists(self, package: str) -> set[str]:
        """The stages whose file has the package."""
        files = (self.root / "requirements/stages").iterdir()
        return {path.stem for path in files if f"\n{package}==" in read_text(path)}


def make_wheel(name: str, version: str, folder: Path) -> Path:
    """A wheel that has no code, but a name, a version and what the installed version requires."""
    requires = "".join(f"Requires-Dist: {line}\n" for line in importlib.metadata.requires(name) or [])
    module = name.replace("-", "_")
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    info = f"{module}-{version}.dist-info"
    record = "".join(
        f"{info}/{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
        for file, text in files.items()
    )
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in (files | {"RECORD": f"{record}{info}/RECORD,,\n"}).items():
            wheel.writestr(f"{info}/{file}", text)
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Upgrade:
    """The shipped project, locked as if it had run: outputs made by hand, which nothing here looks into."""
    folder = tmp_path_factory.mktemp("upgrade")
    upgrade = Upgrade(folder / "project", folder / "site")
    upgrade.site.mkdir()
    for path, text in project_files("upgraded").items():
        write_text(upgrade.root / path, text)
    upgrade.call("git", "init", "-q")
    upgrade.call("dvc", "config", "core.analytics", "false")
    for stage in read_yaml(upgrade.root / "dvc.yaml")["stages"].values():
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                path = out if isinstance(out, str) else next(iter(out))
                write_text(upgrade.root / (path if "." in path else f"{path}/file"), "{}")
    upgrade.call("tunegate", "keys")
    upgrade.call("dvc", "commit", "--force", "--quiet")
    upgrade.call("git", "add", "-A")
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    upgrade.call("git", *who, "commit", "-qm", "A project that has run")
    assert upgrade.changed() == set()
    return upgrade


@pytest.fixture
def upgrade(ran: Upgrade, tmp_path: Path) -> Iterator[Upgrade]:
    yield Upgrade(ran.root, tmp_path)
    ran.call("git", "checkout", "-q", ".")


def test_packages_and_code_that_no_stage_runs_change_nothing(upgrade: Upgrade) -> None:
    upgrade.install({"mlflow": "99.0", "typer": "99.0", "dvc": "99.0"})
    upgrade.edit("preflight/run.py", "MORE = 1")
    upgrade.edit("__init__.py", '__version__ = "99.0"')
    upgrade.edit("training/loop.py", "# A comment is no code.")
    assert "up to date" in upgrade.call("tunegate", "keys")
    assert upgrade.changed() == set()


@pytest.mark.parametrize("package", ["great-expectations", "torch"])
def test_another_version_is_run_by_the_stages_that_import_it(upgrade: Upgrade, package: str) -> None:
    lists = upgrade.lists(package)
    assert {"great-expectations": lists == {"validate"}, "torch": {"train", "evaluate"} <= lists}[package]
    upgrade.install({package: "99.0"})
    stage = sorted(lists)[-1]
    words = ("python", "-m", "tunegate.stages", "--key", f"requirements/stages/{stage}.txt", stage)
    assert f"{package} " in upgrade.call(*words, code=3)
    upgrade.call("tunegate", "keys")
    assert upgrade.changed() == lists
    reasons = upgrade.reasons()
    assert all(len(reasons[name]) == 1 for name in lists)
    assert all(text.startswith(f"{package} ") and text.endswith(" → 99.0") for name in lists for text in reasons[name])
    assert "missing a required argument" in upgrade.call(*words, code=2), "the file is right now"


def test_other_code_is_run_by_the_stages_that_reach_it(upgrade: Upgrade) -> None:
    upgrade.edit("training/loop.py", "MORE = 1")
    changed = "requirements/stages/train.txt: tunegate.training.loop changed"
    assert changed in upgrade.call("tunegate", "keys", "--check", code=3)
    assert changed in upgrade.call("tunegate", "check", code=1)
    assert "tunegate.training.loop changed" in upgrade.call("tunegate", "keys")
    assert upgrade.changed() == {"train"}
    assert upgrade.reasons()["train"] == ["tunegate.training.loop changed"]
