"""Two branches of a miniature project that git merges without a conflict into a dvc.lock of a run that never was."""

from miniature import Miniature

from tunegate.files import read_yaml, write_text, write_yaml


def set_param(miniature: Miniature, section: str, key: str, value: object) -> None:
    """Change a parameter, but nothing that any stage reads or makes because of it."""
    values = read_yaml(miniature.root / "params.yaml")
    values[section][key] = value
    write_yaml(miniature.root / "params.yaml", values)


def two_branches(miniature: Miniature) -> None:
    """On `main` a data parameter that changes the tokens; on `tune` a training parameter that changes no output."""
    miniature.git("checkout", "-qb", "tune")
    set_param(miniature, "train", "checkpoint_every", 7)
    miniature.commit("Checkpoints")
    miniature.git("checkout", "-q", "main")
    miniature.run("dvc", "checkout", "-q", cwd=miniature.root)
    set_param(miniature, "tokenize", "max_length", 128)
    write_text(miniature.root / "inputs/tokens/cut.txt", "shorter tokens\n")
    miniature.commit("Shorter")
    miniature.git("checkout", "-q", "tune")


def merge_line_by_line(miniature: Miniature) -> None:
    write_text(miniature.root / ".git/info/attributes", "dvc.lock merge=text\n")


def verify(miniature: Miniature, *options: str, code: int = 0) -> str:
    return miniature.run("tunegate", "verify", *options, cwd=miniature.root, code=code)
