import os
import re
import subprocess
from pathlib import Path

import pytest

from tunegate.launch.jobs import Job
from tunegate.launch.slurm import script

JOB = Job("helpdesk-train", "python -m tunegate.stages train 'a file.yaml'", 2, 4, 16, "64G", 90, "04:00:00")

OPTIONS = {
    "job-name": r"[\w-]+",
    "nodes": r"\d+(-\d+)?",
    "ntasks-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[KMGT]?",
    "gpus-per-node": r"([a-z]\w*:)?\d+",
    "partition": r"[\w,-]+",
    "time": r"(\d+-)?\d+:\d\d:\d\d",
    "signal": r"([RB]:)?[A-Z0-9]+(@\d+)?",
    "requeue": r"",
    "open-mode": r"append|truncate",
    "output": r"\S+",
}
"""Of the manual page sbatch(1), section OPTIONS: the options that are used, and what each may be."""


def options_of(text: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("text", [script(JOB), script(JOB, "gpu"), script(Job("a", "true", 1, 0, 1, "512M", 30))])
def test_every_directive_is_an_option_of_sbatch_with_a_value_that_it_takes(text: str) -> None:
    options = options_of(text)
    assert len(options) >= 9
    for name, value in options.items():
        assert re.fullmatch(OPTIONS[name], value), f"--{name}={value}"


def test_directives_stand_before_the_first_command_where_sbatch_looks_for_them() -> None:
    lines = script(JOB).splitlines()
    assert lines[0] == "#!/bin/bash"
    last = max(index for index, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[: last + 1])


def test_bash_finds_no_fault_in_the_script() -> None:
    subprocess.run(["bash", "-n"], input=script(JOB), text=True, check=True)


def test_a_job_requests_its_options_and_for_a_signal_in_time() -> None:
    options = options_of(script(JOB, "gpu"))
    assert options["nodes"] == "2"
    assert options["gpus-per-node"] == "4"
    assert options["partition"] == "gpu"
    assert options["signal"] == "TERM@90"
    assert "requeue" in options
    assert "gpus-per-node" not in options_of(script(Job("a", "true", 1, 0, 1, "512M", 30)))


@pytest.mark.parametrize(
    ("codes", "restarts", "code", "queued"),
    [
        ((0, 0), 0, 0, False),
        ((1, 1), 0, 1, False),
        ((3, 0), 0, 3, False),
        ((143, 143), 0, 143, True),
        ((143, 143), 99, 143, True),
        ((143, 143), 100, 143, False),
        ((143, 1), 0, 1, False),
        ((137, 143), 0, 137, False),
    ],
)
def test_the_script_runs_the_stage_on_each_node_and_queues_it_again_when_all_were_stopped(
    codes: tuple[int, int], restarts: int, code: int, queued: bool, tmp_path: Path
) -> None:
    """With stand-ins for Slurm's commands: srun runs the task once for each of two nodes, and ends as the worst."""
    commands = {
        "scontrol": f'if [ "$1" = show ]; then printf "first\\nsecond\\n"; else echo "$@" >> {tmp_path}/queue; fi',
        "srun": 'shift; a=0; b=0; SLURM_NODEID=0 "$@" || a=$?; SLURM_NODEID=1 "$@" || b=$?; exit $((a > b ? a : b))',
        "python": f'codes=({codes[0]} {codes[1]}); echo "$NODE_RANK $MASTER_ADDR $MASTER_PORT $4" >> {tmp_path}/ran\n'
        'exit "${codes[$NODE_RANK]}"',
    }
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    own = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "17"}
    own |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_RESTART_COUNT": str(restarts)}
    done = subprocess.run(["bash"], input=script(JOB), text=True, env=os.environ | own, check=False)
    assert done.returncode == code
    assert (tmp_path / "ran").read_text() == "0 first 29500 a file.yaml\n1 first 29500 a file.yaml\n"
    assert (tmp_path / "queue").exists() is queued
