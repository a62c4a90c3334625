"""base: the pretrained model, fetched by its catalogue entry, verified, stored as safetensors."""

from pathlib import Path

from tunegate.files import atomic_folder
from tunegate.models.acquire import acquire
from tunegate.models.catalogue import find_entry
from tunegate.params import load_params
from tunegate.tracking.artifacts import download


def main(params: str, catalog: str, templates: str, base: str) -> None:
    """Write the base model's folder."""
    settings = load_params(Path(params)).base
    entry = find_entry(Path(catalog), settings.model, settings.allowed_licenses)
    with atomic_folder(Path(base)) as folder:
        acquire(settings.model, entry, settings.dtype, Path(templates), folder, download_mlflow=download)
    print(f"base: {settings.model} ({entry.license}) verified and stored as {settings.dtype}")
