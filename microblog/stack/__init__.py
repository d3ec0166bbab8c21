"""The running stack: PostgreSQL, PgBouncer, PostgREST, the worker and HAProxy, supervised."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microblog.stack.stack import ProcessStatus, Stack

__all__ = ["ProcessStatus", "Stack"]


def __getattr__(name: str) -> Any:
    """Load the stack when it is first asked for: its parts import the settings, which import us."""
    if name in __all__:
        from microblog.stack import stack

        return getattr(stack, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
