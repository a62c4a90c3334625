"""`tunegate image`: the container image of the pipeline's package."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Build the container image that production runs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Build the container image that production runs."""


@app.command("build", epilog="Example: tunegate image build --tag registry/permit-helpdesk:1")
def build(
    backend: Annotated[str | None, typer.Option(help="docker or buildah; by default the one that works.")] = None,
    base_image: Annotated[str | None, typer.Option(help="The image to build upon; it needs Python.")] = None,
    tag: Annotated[str | None, typer.Option(help="The image's name; by default derived from its content.")] = None,
) -> None:
    """Prove models/package, put it into a bento, and the bento into an image."""
    from tunegate.release.image import build_image

    name, used = build_image(Path(), backend=backend, base_image=base_image, tag=tag)
    typer.echo(f"built {name} with {used}")
