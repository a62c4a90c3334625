"""package: merge the adapter, prove the merge, export for serving, sign off with a manifest and a model card."""

from pathlib import Path

from tunegate.files import atomic_folder, read_json
from tunegate.models.tokens.examples import examples_from
from tunegate.params import load_params
from tunegate.release.packaging import package
from tunegate.tables import read_parquet


def main(params: str, base: str, adapter: str, tokens: str, metrics: str, target: str) -> None:
    """Write the package's folder."""
    settings = load_params(Path(params))
    examples = examples_from(read_parquet(Path(tokens) / "valid.parquet"))
    with atomic_folder(Path(target)) as folder:
        manifest = package(settings, Path(base), Path(adapter), examples, read_json(Path(metrics)), folder)
    proof = manifest.merge_check
    print(f"package: {target}, merged within {proof['difference']:.1e} of the largest logit, {manifest.export}")
