"""A PostgREST before a streaming replica: it reads there, and counts on the primary."""

from contextlib import closing, suppress

import httpx
import psycopg
import pytest
from psycopg import sql

from microblog.settings import Settings
from microblog.stack import postgres
from microblog.stack.privileges import service_user
from microblog.stack.process import wait_for
from tests.support.client import Member, expect, refused
from tests.support.cluster import Cluster
from tests.support.database import Database
from tests.support.places import now, wait_until
from tests.support.replica import replica_of, serve_replica, wait_for_replay
from tests.support.servers import serve_rest

# As the proxy asks, of nobody's address.
QUESTION = """
    select (app.feed_answers(
      array[%s], '{GET}', '{/rpc/feed_mine}', array[''], array[''], '{1}', array[''], array[''],
      '{t}', 60000
    ))[1]
"""
FEEDS = "select hits from dba.rate_limit_keys where rule = 'feeds'"


def test_a_replica_counts_on_its_primary_and_once_promoted_by_itself(cluster: Cluster) -> None:
    """All by one PostgREST, whose connections stay; the old primary stays, too."""
    headers = {"X-Forwarded-For": "203.0.113.9"}
    with cluster.clone() as database, serve_rest(database) as primary:
        member = primary.signup()
        post = member.write("seen from afar")
        database.run("delete from app.rate_limit_exemptions")
        with replica_of(cluster.settings) as settings:
            wait_for_replay(database, settings)
            with (
                serve_replica(database, settings) as replica,
                closing(Database(settings, database.name)) as own,
            ):
                reader = Member(replica, member.id, member.username, member.password, member.token)

                def ask(asked: Member) -> httpx.Response:
                    return asked.get("/rpc/feed_timeline", headers=headers)

                for n, asked in enumerate((reader, member, reader), 1):
                    rows = expect(200, ask(asked)).json()
                    assert [row["id"] for row in rows] == [post["id"]]
                    assert database.values(FEEDS) == [n]
                assert own.value(QUESTION, [member.token]) is None, "the proxy gets no page here"
                health = expect(200, replica.get("/rpc/health", headers=headers)).json()
                assert health["cache"] is None, "reports are unlogged"
                assert health["schema"] == primary.get("/rpc/health").json()["schema"]

                database.run("update app.rate_limits set quota = 3 where name = 'feeds'")
                wait_for_replay(database, settings)
                wait_until(database, now(database) + 1)
                refused(429, "rate_limited", ask(reader))

                assert own.value("select pg_promote(true, 60)")
                wait_for(lambda: ask(reader).status_code == 200, 20, "counts of its own")
                expect(201, reader.post("/posts", json={"content": "from here"}, headers=headers))
                assert (own.values(FEEDS), database.values(FEEDS)) == ([1], [3])
                assert own.value(QUESTION, [member.token]) is not None


class Counter:
    """A session of a replica that connects to where requests are counted."""

    def __init__(self, database: Database, replica: Settings) -> None:
        self.database = database
        self.replica = replica

    def point_at(self, target: str) -> None:
        """Change primary_conninfo, and wait until new sessions know."""
        with postgres.connect(self.replica, self.database.name) as connection:
            connection.execute(sql.SQL("alter system set primary_conninfo = {}").format(target))
            connection.execute("select pg_reload_conf()")

        def is_known() -> bool:
            with postgres.connect(self.replica, self.database.name) as connection:
                return connection.execute("show primary_conninfo").fetchone() == (target,)

        wait_for(is_known, 30, "the replica to read its configuration")

    def counts_as(self) -> tuple[str, bool]:
        """Connect anew; answers as whom, and whether to a server that only reads."""
        with postgres.connect(self.replica, self.database.name) as connection:
            connection.execute("select app.rate_limit_reconnect()")
            row = connection.execute(
                "select who, reads_only from extensions.dblink('rate_limits',"
                " 'select current_user::text, pg_is_in_recovery()')"
                " t (who text, reads_only boolean)"
            ).fetchone()
            assert row is not None
            return row


def test_a_replica_finds_its_primary_by_all_that_primary_conninfo_says(
    cluster: Cluster,
) -> None:
    primary = cluster.settings
    with cluster.clone() as database, replica_of(primary) as replica:
        wait_for_replay(database, replica)
        counter = Counter(database, replica)
        passwords = primary.state / "limiter.pgpass"
        passwords.write_text(f"primary.invalid:{primary.pg_port}:*:limiter:open sesame\n")
        passwords.chmod(0o600)
        service_user(primary.root).own(passwords)
        by_password = f"host=primary.invalid hostaddr=127.0.0.1 port={primary.pg_port}"
        database.run("alter role limiter password 'open sesame'")
        try:
            for target in (
                f"host={replica.socket_dir},{primary.socket_dir}"
                f" port={replica.pg_port},{primary.pg_port} user=somebody",
                f"{by_password} user=somebody password=wrong passfile='{passwords}'",
                f"postgresql://somebody:wrong@/other?host={primary.socket_dir}"
                f"&port={primary.pg_port}",
            ):
                counter.point_at(target)
                assert counter.counts_as() == ("limiter", False), target
            for target in (
                f"{by_password} password='open sesame'",
                f"{by_password} passfile='{passwords}' sslmode=require",
                f"host={replica.socket_dir} port={replica.pg_port}",
            ):
                counter.point_at(target)
                with pytest.raises(psycopg.Error, match="could not establish connection"):
                    counter.counts_as()
        finally:
            database.run("alter role limiter password null")
            with suppress(FileNotFoundError):
                passwords.unlink()


def test_a_replica_without_a_primary_refuses_and_says_why(cluster: Cluster) -> None:
    with cluster.clone() as database, replica_of(cluster.settings) as replica:
        database.run("delete from app.rate_limit_exemptions")
        wait_for_replay(database, replica)
        Counter(database, replica).point_at("")
        with serve_replica(database, replica) as served:
            refused(503, "rate_limits_unavailable", served.get("/rpc/feed_public"))
        log = (cluster.settings.log_dir / "replica.log").read_text()
        assert "requests cannot be counted: this replica has no primary_conninfo" in log
