"""`tunegate launch`: what a cluster's scheduler needs to train on several machines, printed."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tunegate.errors import UsageError
from tunegate.files import to_yaml

EPILOG = "Example: tunegate launch --print slurm --time 04:00:00 > train.sh && sbatch train.sh"
_OF = {"kubernetes": ("image", "claim"), "slurm": ("partition",)}


def launch(  # noqa: PLR0913, PLR0917  # one argument per option
    kind: Annotated[Literal["kubernetes", "slurm"], typer.Option("--print", help="For which scheduler.")],
    image: Annotated[str | None, typer.Option(help="kubernetes: the image with tunegate, best by digest.")] = None,
    claim: Annotated[
        str | None, typer.Option(help="kubernetes: the volume claim with the repository; all nodes write to it.")
    ] = None,
    partition: Annotated[str | None, typer.Option(help="slurm: the partition to queue in.")] = None,
    cpus: Annotated[int, typer.Option(min=1, help="Processors of each node.")] = 8,
    memory: Annotated[str, typer.Option(help="Memory of each node, as 512M or 64G.")] = "32G",
    time: Annotated[str | None, typer.Option(help="At most, as 04:00:00 or 2-00:00:00.")] = None,
    grace: Annotated[int, typer.Option(min=10, help="Seconds to save a checkpoint in.")] = 120,
    name: Annotated[str | None, typer.Option(help="Of the job. Default: score.name and `train`.")] = None,
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    pipeline: Annotated[Path, typer.Option(help="The pipeline.")] = Path("dvc.yaml"),
) -> None:
    """Print a job that runs the stage `train` on the nodes and processes of params.yaml's `compute`; submits nothing.

    Nodes, processes and GPUs are those of params.yaml: they are part of the stage's key. A job that is
    preempted saves a checkpoint, is queued again and resumes. When it is done, `dvc commit --force train` records its
    outputs.
    """
    from tunegate.launch import kubernetes, slurm
    from tunegate.launch.jobs import job_of, require_forms

    given = {"image": image, "claim": claim, "partition": partition}
    for other in (names for of, names in _OF.items() if of != kind):
        if wrong := [f"--{name}" for name in other if given[name] is not None]:
            raise UsageError(f"{', '.join(wrong)} with --print {kind}", remedy="tunegate launch --help")
    require_forms(given)
    job = job_of(params, pipeline, name=name, cpus=cpus, memory=memory, grace=grace, time=time)
    if kind == "slurm":
        print(slurm.script(job, partition), end="")
        return
    if image is None or claim is None:
        raise UsageError("--print kubernetes needs --image and --claim", remedy="tunegate launch --help")
    print("---\n".join(to_yaml(manifest) for manifest in kubernetes.manifests(job, image, claim)), end="")
