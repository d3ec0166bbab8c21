"""A session that counts calls against rate limits, with a clock that a test sets."""

import psycopg

Rule = tuple[int, int, int, str]  # id, window in seconds, quota, key


class Limiter:
    """The session that counts, as the role it has."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        # psycopg forgets what it has prepared after a rollback, and this with it: DEALLOCATE ALL.
        connection.prepare_threshold = None
        take = connection.execute("select app.rate_limit_take()").fetchone()
        connection.execute("set role limiter")
        connection.execute(
            "prepare take (smallint[], integer[], integer[], text[], integer, double precision)"
            f" as {take[0]}"  # type: ignore[index]
        )

    def take(self, at: float | None, *rules: Rule, cost: int = 1) -> dict[int, tuple[int, int]]:
        """Count one call; rules are (id, window, quota, key). Answers id → (remaining, reset)."""
        ids, windows, quotas, keys = (list(column) for column in zip(*rules, strict=True))
        rows = psycopg.ClientCursor(self.connection).execute(  # EXECUTE takes no bound parameters
            "execute take (%s, %s, %s, %s, %s, %s)", [ids, windows, quotas, keys, cost, at]
        )
        return {rule: (remaining, reset) for rule, remaining, reset in rows}

    def refuse(self, at: float, rule: Rule, cost: int = 1) -> tuple[int, int]:
        """Record a refusal; answers (reset, retry after)."""
        (_, reset, retry_after) = self.refuse_all(at, (rule, cost, True))[0]
        return reset, retry_after

    def refuse_all(
        self,
        at: float,
        *rules: tuple[Rule, int, bool],
        counted: int = 0,
        counted_since: float | None = None,
    ) -> list[tuple[int, int, int]]:
        """Refuse by some of several rules, each with its cost; answers (id, reset, retry after)."""
        columns = zip(*[(*rule, cost, refuses) for rule, cost, refuses in rules], strict=True)
        return self.connection.execute(
            "select rule_id, reset_at, retry_after from app.rate_limit_refuse("
            "%s::smallint[], %s::integer[], %s::integer[], %s::text[], %s::integer[],"
            " %s::boolean[], %s, %s, %s)",
            [*map(list, columns), counted, at if counted_since is None else counted_since, at],
        ).fetchall()
