"""What the commands share: the option that names the stack, and how steps are printed."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from microblog.errors import StackError
from microblog.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])
console = Console(highlight=False, soft_wrap=True)


def _load(_: click.Context, __: click.Parameter, name: str | None) -> Settings:
    return Settings.load(name)


def stack_option(function: Function) -> Function:
    """Add ``--stack``; the command gets the stack's settings as ``settings``."""
    return click.option(
        "--stack",
        "settings",
        metavar="NAME",
        callback=_load,
        envvar="MICROBLOG_STACK",
        help="Which stack; they live side by side. Default: main.",
    )(function)


def require_made(settings: Settings) -> None:
    """Raise StackError, naming the stacks there are, where this one was never made."""
    if settings.file.exists():
        return
    names = sorted(file.parent.name for file in settings.state.parent.glob("*/settings.json"))
    raise StackError(
        f"there is no stack {settings.stack}",
        (f"There are: {', '.join(names)}. " if names else "")
        + f"Make it: microblog up --stack {settings.stack}",
    )


def say(line: str) -> None:
    """Print one step, its subject in bold."""
    text = Text(line)
    text.stylize("bold", 0, line.find(": ") + 1)
    console.print(text)
