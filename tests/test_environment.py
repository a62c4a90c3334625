import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "requirements" / "environment.py"
SETTINGS = ("PIP_", "UV_", "SSL_CERT_FILE")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with this Python's pip, and no setting of pip or uv but what a test sets."""
    for name in os.environ:
        if name.startswith(SETTINGS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    (tmp_path / "bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / "pyvenv.cfg").write_text(f"version = {platform.python_version()}\n")
    monkeypatch.setenv("TUNEGATE_VENV", str(tmp_path))
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_public_index_is_asked_for_the_build_of_torch_that_fits_the_machine(environment: ModuleType) -> None:
    assert environment.uv_settings({}) == {"UV_TORCH_BACKEND": "auto"}


@pytest.mark.parametrize(
    ("pip", "value", "uv", "expected"),
    [
        ("PIP_INDEX_URL", "https://mirror.test/simple", "UV_DEFAULT_INDEX", "https://mirror.test/simple"),
        ("PIP_EXTRA_INDEX_URL", "https://a.test  https://b.test", "UV_INDEX", "https://a.test https://b.test"),
        ("PIP_FIND_LINKS", "wheels more/wheels", "UV_FIND_LINKS", "wheels,more/wheels"),
    ],
)
def test_a_mirror_that_pip_is_told_of_serves_uv_and_torch_too(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, pip: str, value: str, uv: str, expected: str
) -> None:
    monkeypatch.setenv(pip, value)
    assert environment.uv_settings({}) == {uv: expected, "UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_settings_in_pips_configuration_file_count_and_the_environment_wins(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://file.test\nextra-index-url =\n    https://a.test\n    https://b.test\n"
        "trusted-host = a.test\ncert = ca.pem\n[install]\nfind-links = wheels\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.test")
    assert environment.uv_settings({}) == {
        "UV_DEFAULT_INDEX": "https://environment.test",
        "UV_INDEX": "https://a.test https://b.test",
        "UV_FIND_LINKS": "wheels",
        "UV_INSECURE_HOST": "a.test",
        "SSL_CERT_FILE": "ca.pem",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_uv_was_told_itself_wins(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.uv_settings({"UV_TORCH_BACKEND": "cpu"}) == {}
    assert "UV_TORCH_BACKEND" not in environment.uv_settings({"UV_DEFAULT_INDEX": "https://mirror.test"})
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.test")
    assert "UV_DEFAULT_INDEX" not in environment.uv_settings({"UV_DEFAULT_INDEX": "https://other.test"})


def test_an_unsupported_python_is_refused_with_a_way_out(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit) as caught:
        environment.main("pipeline")
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: Python 3.10.4 (")
    assert "must be 3.11, 3.12 or 3.13\nfix: make " in said


def test_a_project_s_own_wheels_are_found_and_do_not_decide_the_build_of_torch(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "requirements/wheels").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert environment.uv_settings({}) == {"UV_TORCH_BACKEND": "auto", "UV_FIND_LINKS": "requirements/wheels"}
    assert environment.uv_settings({"UV_FIND_LINKS": "a"}) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "a,requirements/wheels",
    }


def test_a_venv_of_another_python_is_made_anew(environment: ModuleType, tmp_path: Path) -> None:
    assert environment.version_of(tmp_path) == sys.version_info[:2]
    (tmp_path / "pyvenv.cfg").write_text("home = x\nversion = 3.9.18\n")
    assert environment.version_of(tmp_path) == (3, 9)
    assert environment.version_of(tmp_path / "none") == ()


def test_a_second_call_does_nothing_until_the_lock_changes(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "pipeline.txt").write_text("torch==1.0\n")
    monkeypatch.chdir(tmp_path)
    calls: list[list[str]] = []
    monkeypatch.setattr(environment, "run", lambda command, *_: calls.append(command))
    for expected in (2, 2):
        environment.main("pipeline")
        assert len(calls) == expected, "the lock, then torch with what its build needs"
    (tmp_path / "requirements" / "pipeline.txt").write_text("torch==1.1\n")
    environment.main("pipeline")
    assert calls[-1][-1] == "torch==1.1"
    (tmp_path / "requirements" / "serve.txt").write_text("a==1.0\n")
    environment.main("serve")
    assert json.loads((tmp_path / "tunegate.json").read_text())["groups"] == ["serve"], "the lock is another"


@pytest.mark.parametrize(("own", "expected"), [("1", True), ("", False)])
def test_libraries_are_compiled_at_once_where_python_may_not_keep_what_it_compiles(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, expected: bool
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "serve.txt").write_text("a==1.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", own)
    calls: list[list[str]] = []
    monkeypatch.setattr(environment, "run", lambda command, *_: calls.append(command))
    environment.main("serve")
    assert ["--compile-bytecode" in command for command in calls] == [expected]


def test_a_failed_installation_is_not_taken_for_done(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "serve.txt").write_text("no-such-package==1.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(SystemExit):
        environment.main("serve")
    assert environment.recorded() == []


@pytest.mark.parametrize("group", ["dev", "pipeline", "serve"])
def test_everything_locked_has_a_hash_but_torch_and_one_version_in_all_locks(group: str) -> None:
    dev, text = ((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("dev", group))
    entries = [entry for entry in text.replace("\\\n", "").splitlines() if entry and not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert "--hash=sha256:" in entry or entry.startswith("torch==")
        assert entry.split()[0] in dev
        assert not entry.startswith(("nvidia-cu", "triton", "llama-cpp-python"))


def test_what_serves_needs_no_torch_and_what_trains_needs_no_tools() -> None:
    serve, pipeline = ((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("serve", "pipeline"))
    for name in ("torch", "transformers", "mlflow", "dvc"):
        assert f"\n{name}==" not in serve
    for name in ("pytest", "mypy", "bentoml", "openvino"):
        assert f"\n{name}==" not in pipeline


def test_help_lists_every_word() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert set(words) >= {"setup", "demo", "test", "check", "docs", "lock", "serve", "image", "clean", "help"}
