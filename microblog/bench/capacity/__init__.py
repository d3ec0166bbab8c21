"""What many users would take, from what one request costs here: the tables of docs/capacity.md.

Everything measured comes from result files (``measured``), everything assumed is in ``assumed``;
what follows is in ``needed``, and ``tables`` write it down.
"""
