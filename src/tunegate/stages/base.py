"""base: the pretrained model, fetched by its catalogue entry, verified, stored as safetensors.

A teacher and a translator, where params.yaml names them, come the same way, each in a folder inside of the base's.
"""

from pathlib import Path

from tunegate.files import atomic_folder
from tunegate.models.acquisition import acquire
from tunegate.models.catalogue import find_entry
from tunegate.models.folders import TEACHER, TRANSLATOR
from tunegate.models.vocabulary import require_same_vocabulary
from tunegate.params import load_params
from tunegate.tracking.artifacts import download


def main(params: str, catalog: str, templates: str, base: str) -> None:
    """Write the base model's folder."""
    settings = load_params(Path(params)).base
    named = {"": settings.model, TEACHER: settings.teacher, TRANSLATOR: settings.translator}
    entries = [
        (place, name, find_entry(Path(catalog), name, settings.allowed_licenses))
        for place, name in named.items()
        if name is not None
    ]
    with atomic_folder(Path(base)) as folder:
        for place, name, entry in entries:
            target = folder / place
            target.mkdir(exist_ok=True)
            acquire(name, entry, settings.dtype, Path(templates), target, download_mlflow=download)
        if settings.teacher is not None:
            require_same_vocabulary(folder, folder / TEACHER)
    for place, name, entry in entries:
        print(f"base: {place or 'model'} {name} ({entry.license}) verified and stored as {settings.dtype}")
