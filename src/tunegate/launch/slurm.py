"""A training as a Slurm batch script: one task for each node, which meet on the first.

Before the time is over, and when the job is preempted, the tasks get SIGTERM: all processes of the run save a
checkpoint and end with 143. When all tasks did, the job is queued again, to resume.
"""

import shlex

from tunegate.launch.jobs import PORT, Job


def script(job: Job, partition: str | None = None) -> str:
    """The text for `sbatch`, submitted in the repository, which all nodes mount at the same path."""
    task = shlex.quote(_TASK.format(command=job.command, stopped=_STOPPED))
    options = {
        "job-name": job.name,
        "nodes": str(job.nodes),
        "ntasks-per-node": "1",
        "cpus-per-task": str(job.cpus),
        "mem": job.memory,
        "gpus-per-node": str(job.gpus) if job.gpus else None,
        "partition": partition,
        "time": job.time,
        "signal": f"TERM@{job.grace}",
        "requeue": "",
        "open-mode": "append",
        "output": "%x-%j.log",
    }
    lines = [
        f"#SBATCH --{name}={value}" if value else f"#SBATCH --{name}"
        for name, value in options.items()
        if value is not None
    ]
    return "\n".join(["#!/bin/bash", *lines, _BODY.format(port=PORT, task=task, stopped=_STOPPED, most=_REQUEUES)])


_STOPPED = 100
"""What a task says that was stopped and saved a checkpoint: less than for any failure, as srun tells the highest."""

_REQUEUES = 100
"""A job that is always stopped before it gets anywhere ends at last."""

_TASK = """trap : TERM
code=0
NODE_RANK=$SLURM_NODEID {command} || code=$?
if [ "$code" -eq 143 ]; then
    exit {stopped}
elif [ "$code" -gt 0 ] && [ "$code" -lt 26 ]; then
    exit "$((code + {stopped}))"
fi
exit "$code"
"""

_BODY = """
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
read -r MASTER_ADDR < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
export MASTER_ADDR MASTER_PORT={port}

# A signal is for the tasks; this shell waits for them and queues the job again.
trap : TERM
code=0
srun --kill-on-bad-exit=0 bash -c {task} || code=$?
if [ "$code" -eq {stopped} ]; then
    if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {most} ]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
    exit 143
elif [ "$code" -gt {stopped} ] && [ "$code" -lt 126 ]; then
    exit "$((code - {stopped}))"
fi
exit "$code"
"""
