"""Errors that a person at the command line can act on."""


class StackError(Exception):
    """Something the caller can mend: what is wrong, and what to do about it.

    ``hint`` is one sentence or command that mends it, empty when the message says it all.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class MissingProgramError(StackError):
    """A program that the stack needs is not installed."""


class NotReadyError(StackError):
    """A process did not become ready in time, or ended before it did."""


class MigrationError(StackError):
    """sqitch refused or failed; the message holds what it printed."""
