"""What makes a conversation fit to be learned from: its turns, and a chat template that renders it.

Reads a chat template. Jinja runs in its sandbox: a template sees the messages and nothing else.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tunegate.errors import InputError
from tunegate.files import read_text
from tunegate.text import did_you_mean, listed

Messages = Sequence[dict[str, str]]


def is_well_formed(messages: Messages) -> bool:
    """Whether user and assistant alternate after an optional system turn, the assistant ends, and no turn is empty."""
    turns = messages[1:] if messages and messages[0]["role"] == "system" else messages
    roles = [turn["role"] for turn in turns]
    alternate = roles == ["user", "assistant"] * (len(roles) // 2)
    return bool(roles) and alternate and all((turn["content"] or "").strip() for turn in messages)


def template_path(folder: Path, name: str, place: str) -> Path:
    """The chat template `name` in `folder`. Raises InputError with the nearest name when there is none."""
    names = sorted(file.name for file in folder.glob("*.jinja"))
    if name not in names:
        problem = f"no chat template {name!r}{did_you_mean(name, names)}"
        remedy = f"{folder} has {listed(names)}" if names else f"put the template into {folder}"
        raise InputError(problem, place=place, remedy=remedy)
    return folder / name


def renderer(template: Path) -> Callable[[Messages], bool]:
    """A function that says whether the chat template renders a conversation.

    Raises InputError when the file is not a template. Its environment is that of Hugging Face's chat templates.
    """
    import jinja2
    import jinja2.sandbox

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": str}
    try:
        compiled = environment.from_string(read_text(template))
    except jinja2.TemplateSyntaxError as error:
        problem = f"not a template: {error.message}"
        raise InputError(problem, place=f"{template}:{error.lineno}", remedy="correct the template") from None
    # What an expression of a template raises is what Python raises for it.
    raised = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

    def renders(messages: Messages) -> bool:
        try:
            compiled.render(messages=messages, add_generation_prompt=False, bos_token="", eos_token="")
        except raised:
            return False
        return True

    return renders


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)
