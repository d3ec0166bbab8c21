"""A PostgREST before a streaming replica: it reads there, and counts on the primary."""

from tests.support.client import Member, expect, refused
from tests.support.cluster import Cluster
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
