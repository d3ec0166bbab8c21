"""pg-microblog: a microblog backend whose every rule lives in PostgreSQL.

This package is the thin part around the database: it migrates, supervises and measures.
"""
