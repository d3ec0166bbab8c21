"""Every endpoint that there is, and the requests by which somebody goes for what is not theirs.

Endpoints are read off the catalog and off PostgREST's own OpenAPI; the requests are made from
their columns and arguments, each filled with what belongs to a victim.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.security.victim import Victim
from tests.support.client import expect
from tests.support.database import Database
from tests.support.servers import Served

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RETURN_ROWS = "return=representation"


@dataclass(frozen=True)
class Endpoint:
    """An address and the names it takes: columns of a table, arguments of a function.

    ``insertable`` and ``updatable`` are the columns that a member may write.
    """

    path: str
    names: tuple[str, ...] = ()
    insertable: tuple[str, ...] = ()
    updatable: tuple[str, ...] = ()

    @property
    def is_function(self) -> bool:
        return self.path.startswith("/rpc/")


@dataclass(frozen=True)
class Attempt:
    """One request, without the token that it is sent with."""

    verb: str
    path: str
    params: dict[str, str] = field(default_factory=dict)
    body: Any = None
    prefer: str | None = None

    def send(self, served: Served, token: str | None) -> httpx.Response:
        headers = {} if self.prefer is None else {"Prefer": self.prefer}
        options: dict[str, Any] = {"params": self.params, "headers": headers}
        if self.body is not None:
            options["json"] = self.body
        return served.request(self.verb, self.path, token, **options)

    def __str__(self) -> str:
        said = [self.verb, self.path, *(f"{k}={v}" for k, v in self.params.items())]
        return " ".join(said + [json.dumps(self.body)] * (self.body is not None))


# -- what there is -------------------------------------------------------------------------------


def in_catalog(database: Database) -> dict[str, Endpoint]:
    """Return what the schema api holds, by address."""
    rows = database.run(
        """
        select '/' || c.relname,
          array_agg(a.attname::text order by a.attnum),
          coalesce(array_agg(a.attname::text) filter (
            where has_column_privilege('member', c.oid, a.attnum, 'insert')), '{}'),
          coalesce(array_agg(a.attname::text) filter (
            where has_column_privilege('member', c.oid, a.attnum, 'update')), '{}')
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'api'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
        group by c.oid
        union all
        select '/rpc/' || p.proname, coalesce(p.proargnames, '{}'), '{}', '{}'
        from pg_proc p
        where p.pronamespace = 'api'::regnamespace and p.prokind = 'f'
        """
    )
    return {path: Endpoint(path, *(tuple(names) for names in lists)) for path, *lists in rows}


def in_openapi(served: Served, token: str | None) -> set[str]:
    """Return the addresses by which PostgREST describes itself to this caller."""
    return set(expect(200, served.get("/", token)).json()["paths"])


# -- what is tried -------------------------------------------------------------------------------


def attempts(endpoint: Endpoint, verb: str, victim: Victim, as_owner: bool) -> Iterator[Attempt]:
    """Yield the requests that go for what is the victim's.

    ``as_owner``: as the victim would send them.
    """
    if endpoint.is_function:
        yield from _calls(endpoint, verb, victim, as_owner)
    elif endpoint.path in victim.rows:
        row = victim.rows[endpoint.path]
        key = {name: _equals(row[name]) for name in victim.keys[endpoint.path]}
        if verb in ("POST", "PUT", "PATCH"):
            yield from _writes(endpoint, verb, row, key)
        else:
            yield from _chosen(endpoint, verb, row, key, as_owner)
    else:
        yield Attempt(verb, endpoint.path)


def _calls(endpoint: Endpoint, verb: str, victim: Victim, as_owner: bool) -> Iterator[Attempt]:
    """Call a function with all arguments, with each alone, with none."""
    unknown = set(endpoint.names) - set(victim.values)
    assert not unknown, f"{endpoint.path}: say in Victim.values what {unknown} would be"
    values = {name: victim.values[name] for name in endpoint.names}
    if endpoint.path == "/rpc/login" and not as_owner:
        values["password"] = "a guess, and wrong"  # who knows the right one is the owner
    sets = [values, {}]
    if len(values) > 1:
        sets += [{name: value} for name, value in values.items()]
    for arguments in sets:
        if verb in ("POST", "PUT", "PATCH"):
            yield Attempt(verb, endpoint.path, body=arguments)
        else:
            texts = {name: str(value) for name, value in arguments.items()}
            yield Attempt(verb, endpoint.path, texts)


def _writes(
    endpoint: Endpoint, verb: str, row: dict[str, Any], key: dict[str, str]
) -> Iterator[Attempt]:
    """Write each column alone, all that a member may write, and the whole row."""
    path, names = endpoint.path, endpoint.names
    other = row | {name: f"{value}_2" for name, value in row.items() if _is_text(name, value)}
    bodies: list[Any] = [{name: other[name]} for name in names]
    if verb == "POST":
        bodies += [{name: row[name] for name in endpoint.insertable}, row, [row]]
        yield from (Attempt(verb, path, body=body, prefer=RETURN_ROWS) for body in bodies)
        for how in ("merge", "ignore"):
            prefer = f"resolution={how}-duplicates,{RETURN_ROWS}"
            yield Attempt(verb, path, {"on_conflict": ",".join(key)}, other, prefer)
    elif verb == "PUT":
        yield Attempt(verb, path, key, other, RETURN_ROWS)
        yield Attempt(verb, path, {}, other, RETURN_ROWS)
    else:
        yield from (Attempt(verb, path, key, body, RETURN_ROWS) for body in [*bodies, other])
        allowed = {name: other[name] for name in endpoint.updatable} or other
        filters = [{name: _equals(row[name])} for name in names]
        for chosen in (*filters, {next(iter(key)): "gt.0"}, {}):
            yield Attempt(verb, path, chosen, allowed, RETURN_ROWS)


def _chosen(
    endpoint: Endpoint, verb: str, row: dict[str, Any], key: dict[str, str], as_owner: bool
) -> Iterator[Attempt]:
    """Choose rows by each column; a DELETE also by none, and all of them."""
    filters = [{name: _equals(row[name])} for name in endpoint.names]
    if verb == "DELETE":
        filters = [key, *filters, {}, {"limit": "1"}]
        if not as_owner:
            filters.append({next(iter(key)): "gt.0"})
    prefer = RETURN_ROWS if verb == "DELETE" else None
    yield from (Attempt(verb, endpoint.path, chosen, prefer=prefer) for chosen in filters)


def _is_text(name: str, value: Any) -> bool:
    return isinstance(value, str) and not name.endswith("_at")


def _equals(value: Any) -> str:
    """Return the filter that a value meets."""
    if value is None or isinstance(value, bool):
        return f"is.{json.dumps(value)}"
    return f"eq.{value}"
