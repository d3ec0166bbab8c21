"""The demonstration: a small lively data set, and a tour of the API with real requests."""

from rich.console import Console
from rich.text import Text

from microblog.demo.fill import fill
from microblog.demo.tour import tour
from microblog.settings import Settings
from microblog.stack import postgres

__all__ = ["demo"]


def demo(settings: Settings, console: Console | None = None) -> None:
    """Fill the stack where it is empty, tour it over HTTP, and print its address last.

    Each run tours as a user of its own, so that it can be repeated at will. Raises StackError
    where an answer is not the expected one.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    filled = fill(settings)
    if filled:
        line = Text("filled: ", style="bold")
        line.append(
            f"{filled.users} users, {filled.follows} follows, {filled.posts} posts, "
            f"{filled.replies} replies",
            style="not bold",
        )
        console.print(line)
    _forget_limits(settings)
    tour(settings.url, console)
    console.print(Text(settings.url, style="bold"))


def _forget_limits(settings: Settings) -> None:
    """Give this machine its whole quotas back: an address may sign up five times in half an hour,
    and the tour does each time.
    """
    with postgres.connect(settings) as connection:
        connection.execute("select dba.rate_limit_forget('127.0.0.1')")
