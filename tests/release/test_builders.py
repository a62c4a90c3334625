import pytest

from tunegate.errors import MachineError, UsageError
from tunegate.release import builders


def test_an_unknown_backend_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such backend"):
        builders.find_backend("kaniko")


def test_without_docker_and_buildah_the_remedy_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MachineError) as caught:
        builders.find_backend(None)
    assert "apt-get install buildah" in caught.value.remedy


def test_settings_of_this_machine_are_mounted_into_installing_steps_only() -> None:
    install = "uv pip install \\\n    -r requirements.txt\n"
    steps = builders._with_mounts(f"FROM x\nRUN useradd bentoml\nRUN {install}COPY . .\n", ["--mount=type=secret"])
    assert steps == f"FROM x\nRUN useradd bentoml\nRUN --mount=type=secret {install}COPY . .\n"
