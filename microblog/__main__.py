"""Lets ``python -m microblog`` do what the ``microblog`` command does."""

from microblog.cli import main

main()
