import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from workflow_runner import load

from tunegate.files import read_text

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(path: Path) -> list[dict[str, Any]]:
    return list(load(path)["jobs"].values())


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / request.param.name
    copy.write_text(read_text(request.param))
    return copy


def test_an_action_is_pinned_by_commit_with_its_version_beside_it(workflow: Path) -> None:
    used = re.findall(r"(?m)^ *(?:- )?uses: (.*)", read_text(workflow))
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)


def test_a_job_has_permissions_of_its_own_a_time_limit_and_keeps_no_credentials(workflow: Path) -> None:
    for job in jobs(workflow):
        assert "permissions" in job
        assert job["timeout-minutes"] <= (1440 if job.get("environment") == "train" else 90)
        for step in job["steps"]:
            if "actions/checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_a_step_is_one_word_of_the_makefile_or_of_tunegate(workflow: Path) -> None:
    for job in jobs(workflow):
        for step in job["steps"]:
            assert re.fullmatch(r"(make|tunegate) [a-z -]+", step.get("run", "make x"))


def test_ci_runs_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    assert read_text(script).splitlines()[-2:] == ["make check", "make test"]
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_example_for_gitlab_has_the_jobs_of_the_workflows() -> None:
    pipeline = load(ROOT / "docs/examples/gitlab-ci.yml")
    scripts = {name: job["script"] for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    steps = {re.sub(r'^test "\$run" = present \|\| ', "", line) for lines in scripts.values() for line in lines}
    ours = {step["run"] for path in WORKFLOWS for job in jobs(path) for step in job["steps"] if "run" in step}
    assert {step for step in ours if step.startswith("tunegate ci ")} <= steps
    assert "make env-pipeline" in pipeline[".job"]["before_script"]
