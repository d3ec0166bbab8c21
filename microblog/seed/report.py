"""What a load prints at its end."""

from collections.abc import Iterable
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from microblog.seed.degrees import SOURCE_EXPONENT, SOURCE_MEAN, SOURCE_RECIPROCITY, fit
from microblog.seed.rows import Rows
from microblog.seed.shape import LARGEST_AUTHOR
from microblog.seed.steps import Step

NONE = "–"


def distribution(console: Console, rows: Rows, mutual: float) -> None:
    """Print the follower counts as they came out beside the published ones."""
    found = fit(rows.followers, rows.shape)
    low, high = found.tail_range
    table = _table("followers", "here", "Kwak et al., WWW 2010 (Twitter)")
    table.add_row("users", f"{rows.shape.users:,}", "41.7 million")
    table.add_row("mean", f"{found.mean:.1f}", f"{SOURCE_MEAN}")
    table.add_row(
        f"exponent, {low:,}–{high:,} ({found.tail_users:,} users)",
        f"{found.tail:.3f} ± {found.tail_error:.3f}",
        f"{SOURCE_EXPONENT} up to 10⁵",
    )
    table.add_row(
        f"exponent beyond ({found.heavy_users:,} users)",
        f"{found.heavy:.2f}",
        "smaller: more people than the power law has",
    )
    table.add_row("largest", f"{rows.followers.max():,}", NONE)
    table.add_row("both follow, of connected pairs", f"{mutual:.1%}", f"{SOURCE_RECIPROCITY:.1%}")
    for level, value in found.quantiles.items():
        table.add_row(f"quantile {level:g}", f"{value:,}", NONE)
    console.print(table)


def sizes(console: Console, connection: psycopg.Connection[Any], tables: Iterable[str]) -> None:
    """Print the disk space of each table, of all partitions together."""
    table = _table("table", "MB", "of these indexes", "rows (estimate)")
    for name in tables:
        row = connection.execute(
            "select sum(pg_total_relation_size(c.oid)), sum(pg_indexes_size(c.oid)),"
            " sum(greatest(c.reltuples, 0))::bigint from pg_class c"
            " where c.relkind = 'r' and (c.oid = %(name)s::text::regclass or c.oid in"
            " (select t.relid from pg_partition_tree(%(name)s::text::regclass) t))",
            {"name": f"app.{name}"},
        ).fetchone() or (0, 0, 0)
        total, indexes, count = row
        table.add_row(name, f"{total / 2**20:,.1f}", f"{indexes / 2**20:,.1f}", f"{count:,}")
    console.print(table)


def timings(console: Console, steps: Iterable[Step]) -> None:
    """Print the seconds of each step."""
    table = _table("step", "seconds", "rows/s")
    for step in steps:
        rate = f"{step.rows / step.seconds:,.0f}" if step.rows and step.seconds else NONE
        table.add_row(step.name, f"{step.seconds:.1f}", rate)
    console.print(table)


def floor(console: Console, seconds: float, bare: float) -> None:
    """Print how many times as long as the floor the load took."""
    console.print(
        f"floor, a bare copy of the same users, posts and follows, their indexes and vacuum: "
        f"{bare:.1f} s; the load took {seconds:.1f} s; ratio {seconds / bare:.2f}"
    )


def summary(
    console: Console, rows: Rows, entries: int, pulled: int, seconds: float, peak_mb: int
) -> None:
    """Print what there is now, and whom benchmarks may ask for."""
    shape = rows.shape
    console.print(
        f"seeded: {shape.users:,} users ({int(rows.active.sum()):,} active), "
        f"{shape.follows:,} follows, {shape.posts:,} posts, {entries:,} feed entries, "
        f"{pulled:,} pulled authors; seed {shape.seed}, until {rows.until:%Y-%m-%d}"
    )
    console.print(f"largest author: user {LARGEST_AUTHOR}, {shape.largest:,} followers")
    for degree, ids in shape.readers().items():
        console.print(f"readers of exactly {degree:,} authors: users {ids[0]}–{ids[-1]}")
    console.print(
        f"loaded in {seconds:.1f} s, with the vacuum; memory of this process, at its peak: "
        f"{peak_mb:,} MB"
    )


def _table(*columns: str) -> Table:
    table = Table()
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table
