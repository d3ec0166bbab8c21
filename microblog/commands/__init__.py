"""The commands of the ``microblog`` command line, one a module, each named ``command``."""
