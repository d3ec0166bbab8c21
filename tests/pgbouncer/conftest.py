"""Whole stacks for the tests of the pooled route."""

from tests.stack.stacks import new_stack

__all__ = ["new_stack"]
