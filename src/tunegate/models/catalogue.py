"""models/catalog.yaml: the base models a project may start from, each with licence, source and checksum.

`tunegate.models.acquisition` fetches from each kind of source.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tunegate.errors import InputError, RefusedError
from tunegate.files import read_yaml
from tunegate.params import Closed, parse
from tunegate.text import did_you_mean

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Files = Annotated[dict[str, Sha256], Field(min_length=1)]


class PackageSource(Closed):
    """Files inside an installed Python package, found without importing it."""

    kind: Literal["package"]
    package: str
    """The package's import name."""
    files: Files
    """Path inside the package → sha256. A single .gguf file, or safetensors with config and tokenizer in one folder."""


class FolderSource(Closed):
    """A folder in the repository or on the machine."""

    kind: Literal["folder"]
    path: str
    """The folder; relative paths start at the working directory."""
    files: Files
    """Path inside the folder → sha256."""


class HubSource(Closed):
    """A repository on the Hugging Face hub at a fixed commit."""

    kind: Literal["hub"]
    repository: str
    """owner/name."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    """The full commit; a branch or tag could move."""
    files: Files
    """Path inside the repository → sha256."""


class MlflowSource(Closed):
    """A model version's artifacts in MLflow."""

    kind: Literal["mlflow"]
    uri: Annotated[str, StringConstraints(pattern=r"^(models|runs):/.+")]
    """models:/<name>/<version> or runs:/<run>/<path>."""
    files: Files
    """Path inside the artifact folder → sha256."""


Source = Annotated[PackageSource | FolderSource | HubSource | MlflowSource, Field(discriminator="kind")]


class Entry(Closed):
    """One base model."""

    license: str
    """SPDX identifier, for instance Apache-2.0."""
    homepage: str = ""
    """Where people read about the model."""
    source: Source
    """Where the files come from, and what they must be."""
    architecture: Literal["decoder", "encoder"] = "decoder"
    """A decoder writes answers, by a chat template. An encoder (BERT and its family) has none and can only classify."""
    template: str | None = None
    """A chat template in models/templates to use instead of the model's own, or where it has none."""
    eos_token: str | None = None
    """The token that ends an answer, when the files name another or none."""


class Catalogue(Closed):
    """The whole of models/catalog.yaml."""

    models: dict[str, Entry]


def find_entry(path: Path, name: str, allowed_licenses: tuple[str, ...]) -> Entry:
    """The entry `name`. Raises InputError for an unknown name, RefusedError for a licence not allowed."""
    remedy = "models/catalog.yaml's header shows an entry of each kind"
    models = parse(Catalogue, read_yaml(path), place=str(path), remedy=remedy).models
    if name not in models:
        remedy = "the models are: " + ", ".join(sorted(models))
        raise InputError(f"no model {name!r}{did_you_mean(name, models)}", place=str(path), remedy=remedy)
    entry = models[name]
    if entry.license not in allowed_licenses:
        problem = f"licence {entry.license!r} is not allowed"
        remedy = f"choose another base model, or have {entry.license!r} added to base.allowed_licenses in params.yaml"
        raise RefusedError(problem, place=f"{path}: models.{name}.license", remedy=remedy)
    return entry
