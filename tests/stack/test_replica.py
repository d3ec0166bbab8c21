"""A PostgREST before a streaming replica: it reads there, and counts on the primary."""

from contextlib import suppress

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
from tests.support.replica import replica_of, serve_replica, wait_for_replay
from tests.support.servers import serve_rest


def test_reads_of_a_replica_count_on_the_primary(cluster: Cluster) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9"}
    with cluster.clone() as database, serve_rest(database) as primary:
        member = primary.signup()
        post = member.write("seen from afar")
        database.run("delete from app.rate_limit_exemptions")
        with replica_of(cluster.settings) as settings:
            wait_for_replay(database, settings)
            with serve_replica(database, settings) as replica:
                reader = Member(replica, member.id, member.username, member.password, member.token)
                lefts = []
                for asked in (reader, member, reader):
                    answer = expect(200, asked.get("/rpc/feed_timeline", headers=headers))
                    assert [row["id"] for row in answer.json()] == [post["id"]]
                    lefts.append(int(answer.headers["X-RateLimit-Remaining"]))
                assert lefts == [99, 98, 97]

                database.run("update app.rate_limits set quota = 3 where name = 'feeds'")
                wait_for_replay(database, settings)
                fresh = serve_replica(database, settings)
                with fresh as other:
                    refusal = other.get("/rpc/feed_timeline", member.token, headers=headers)
                    refused(429, "rate_limited", refusal)


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
