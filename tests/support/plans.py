"""Execution plans as they happen: of a statement and of all that runs inside its functions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.support.database import Connection, Database

Node = dict[str, Any]

SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan")


@dataclass(repr=False)
class Executed:
    """One statement that was executed, its plan with actual rows."""

    query: str
    plan: Node

    def __str__(self) -> str:
        """The statement and its plan, a line for each node, as far as it ran."""
        lines = [self.query.strip()]

        def add(node: Node, depth: int) -> None:
            what = [node["Node Type"], node.get("Relation Name") or node.get("Function Name") or ""]
            if node.get("Actual Loops"):
                done = f"{node['Actual Rows']} rows x {node['Actual Loops']}"
                if node.get("Rows Removed by Filter"):
                    done += f", {node['Rows Removed by Filter']} in vain"
                lines.append("  " * depth + " ".join(what) + f" ({done})")
            for child in node.get("Plans", []):
                add(child, depth + 1)

        add(self.plan, 1)
        return "\n".join(lines)

    def nodes(self) -> Iterator[Node]:
        """All nodes that ran at least once, from the top."""
        todo = [self.plan]
        while todo:
            node = todo.pop()
            if node.get("Actual Loops"):
                yield node
            todo += node.get("Plans", [])

    def scans(self) -> dict[str, set[str]]:
        """How each table was read: ``{"posts": {"Index Scan"}}``."""
        found: dict[str, set[str]] = {}
        for node in self.nodes():
            if node["Node Type"] in SCANS:
                found.setdefault(node["Relation Name"], set()).add(node["Node Type"])
        return found

    def rows(self, *node_types: str) -> int:
        """The most rows that any node of these types gave, over all its loops."""
        return max(
            (
                round(node["Actual Rows"] * node["Actual Loops"])
                for node in self.nodes()
                if node["Node Type"] in node_types
            ),
            default=0,
        )

    def filtered(self) -> int:
        """The most rows that any scan read in vain, over all its loops."""
        return max(
            (
                round(node.get("Rows Removed by Filter", 0) * node["Actual Loops"])
                for node in self.nodes()
            ),
            default=0,
        )

    def sorted_rows(self) -> int:
        """The most rows that went into any sort."""
        return max(
            (
                round(child["Actual Rows"] * child["Actual Loops"])
                for node in self.nodes()
                if node["Node Type"] in ("Sort", "Incremental Sort")
                for child in node["Plans"]
            ),
            default=0,
        )

    @property
    def blocks(self) -> int:
        """Pages of 8 kB touched."""
        return self.plan["Shared Hit Blocks"] + self.plan["Shared Read Blocks"]


class Recorder:
    """A connection that tells each plan it executes, nested ones included, by auto_explain."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._heard: list[Executed] = []
        connection.add_notice_handler(self._hear)
        connection.execute("load 'auto_explain'")
        for name, value in (
            ("log_min_duration", "0"), ("log_level", "notice"), ("log_format", "json"),
            ("log_analyze", "on"), ("log_buffers", "on"), ("log_timing", "off"),
            ("log_nested_statements", "on"),
        ):  # fmt: skip
            connection.execute(f"set auto_explain.{name} = '{value}'")
        connection.execute("set plan_cache_mode = force_generic_plan")
        connection.execute("set client_min_messages = notice")

    def run(self, query: str, *parameters: Any) -> list[Executed]:
        """Prepare and execute a statement; return what was executed, the statement itself last."""
        self._heard.clear()
        self.connection.execute(query, parameters or None, prepare=True)
        heard = list(self._heard)
        assert heard, "nothing was heard of any plan"
        return heard

    def again(self, query: str, *parameters: Any) -> list[Executed]:
        """As ``run``, the second time: the first also plans what functions execute."""
        self.run(query, *parameters)
        return self.run(query, *parameters)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        message = notice.message_primary or ""
        _, found, text = message.partition("plan:\n")
        if found:
            told = json.loads(text)
            self._heard.append(Executed(told["Query Text"], told["Plan"]))


@contextmanager
def recorder(database: Database, user_id: int | None = None) -> Iterator[Recorder]:
    """Record with the rights of a request by this user, or without a token."""
    with database.superuser() as connection:
        made = Recorder(connection)
        connection.execute(
            "select set_config('microblog.user_id', %s, false)",
            ["" if user_id is None else str(user_id)],
        )
        connection.execute("set role " + ("anon" if user_id is None else "member"))
        yield made
