"""`tunegate data key`: the key of surrogates, and the fingerprint that params.yaml names it by.

Reads the environment; prints a key only when it has just made one, on stdout, and writes no file.
"""

import json
import os
from typing import Annotated

import typer


def key(
    new: Annotated[bool, typer.Option("--new", help="Make a fresh random key and print it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the fingerprint of the key in TUNEGATE_PSEUDONYM_KEY, for prepare.personal_data.key in params.yaml."""
    from tunegate.data.preparation.personal_data.key import VARIABLE, fingerprint, new_key, read_key
    from tunegate.errors import InputError

    made = new_key() if new else None
    found = made.encode() if made else read_key(os.environ)
    if found is None:
        remedy = "`tunegate data key --new` makes a key"
        raise InputError("not set", place=f"environment: {VARIABLE}", remedy=remedy)
    if as_json:
        print(json.dumps({"fingerprint": fingerprint(found)} | ({"key": made} if made else {}), sort_keys=True))
    elif made:
        print(f"{VARIABLE}={made}\nfingerprint: {fingerprint(found)}\n\n{_STORE}")
    else:
        print(fingerprint(found))


_STORE = """The key is shown this once. Keep it in your store of secrets and hand it to programs in the environment: as
a secret of the repository for CI, by your shell for `dvc repro`. It belongs in no file of the repository. The
fingerprint goes to params.yaml: prepare.personal_data.key. Whoever has the key can find out whom a surrogate stands for
by trying; who loses it cannot make the same surrogates again."""
