import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tunegate.cli import app
from tunegate.cli.launch import EPILOG
from tunegate.errors import TunegateError, UsageError
from tunegate.files import parse_yaml
from tunegate.params import Compute, parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def launch(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["launch", *arguments], catch_exceptions=True)
    if isinstance(result.exception, TunegateError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_slurm_script_is_printed() -> None:
    text = launch("--print", "slurm", "--time", "04:00:00", "--partition", "gpu")
    assert text.startswith("#!/bin/bash\n#SBATCH --job-name=permit-helpdesk-train\n")
    assert "#SBATCH --partition=gpu\n" in text


def test_a_service_and_a_job_are_printed_as_yaml_for_kubectl() -> None:
    text = launch("--print", "kubernetes", "--image", "registry.example/tunegate:1", "--claim", "project")
    service, job = YAML(typ="safe").load_all(text)
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/tunegate:1"
    assert service["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--print", "kubernetes", "--image", "a"), "needs --image and --claim"),
        (("--print", "slurm", "--image", "a"), "--image with --print slurm"),
        (("--print", "kubernetes", "--image", "a", "--claim", "b", "--partition", "c"), "--partition with --print"),
        (("--print", "slurm", "--memory", "much"), "--memory 'much' is not valid"),
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        launch(*arguments)


def test_without_print_nothing_is_done() -> None:
    result = CliRunner().invoke(app, ["launch"])
    assert result.exit_code == 2
    assert "--print" in result.output


def test_the_example_in_the_help_runs() -> None:
    command = EPILOG.removeprefix("Example: tunegate launch ").split(" >")[0].split()
    assert launch(*command).startswith("#!/bin/bash")


def blocks(kind: str) -> list[str]:
    text = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_commands_in_the_guide_run() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) >= 2
    for command in commands:
        assert command.startswith("tunegate launch ")
        assert launch(*command.split()[2:])


def test_the_parameters_in_the_guide_are_valid() -> None:
    result = blocks("yaml")
    assert len(result) >= 2
    for block in result:
        values = parse_yaml(block, place="docs/scaling.md")
        assert values.keys() == {"compute"}
        parse(Compute, values["compute"], place="docs/scaling.md", remedy="")
