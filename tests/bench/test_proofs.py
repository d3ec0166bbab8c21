"""Proofs of rounds can fail: what they are to find is done, told, and undone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from microblog.bench import result, scale
from microblog.bench.bed import Bed
from microblog.bench.check import newest_post
from microblog.bench.run import Turner
from microblog.bench.scenario import Load, Scenario, read_all
from microblog.settings import Settings
from microblog.stack import Stack
from tests.bench.measured import SHAPE
from tests.bench.needs import needs_redis

KINDS = ["active", "any", "horizon", "horizon_5000", "inactive", "last_5000"]
# Pages of timelines lack what would be their first post, of what is kept and of what is not.
PAGES = ("app.feed_ids(bigint, integer, boolean)", "\nend\n", "\n  ids := ids[2:];\nend\n")
BELOW = (
    "app.feed_below(bigint, bigint, boolean)", "order by p.id desc;", "order by p.id desc offset 1;"
)  # fmt: skip
PULL = ("bench.pull(bigint)", "LIMIT", "OFFSET 1\n LIMIT")
DELIVERY = (
    "app.job_fan_out(jsonb, bigint)", "<= v_post_id", "<= v_post_id and s.user_id % 2 = 0"
)  # fmt: skip


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    settings = Settings.create(f"t{os.getpid()}-proofs", fsync=False, memory_mb=512)
    settings.save()
    try:
        with Bed(settings) as made:
            made.open(SHAPE)
            made.run_sql("sql/readers.sql")
            made.run_sql("sql/tokens.sql")
            yield made
    finally:
        Stack(settings).down(wipe=True)


@contextmanager
def changed(bed: Bed, function: str, old: str, new: str) -> Iterator[None]:
    """Have a function of the database say something else in one place, as long as this lasts."""
    query = "select pg_get_functiondef(%s::regprocedure)"
    (row,) = bed.connection.execute(query, [function]).fetchall()
    assert old in row[0], row[0]
    bed.connection.execute(row[0].replace(old, new).encode())
    try:
        yield
    finally:
        bed.connection.execute(row[0].encode())


def test_a_wrong_page_of_each_kind_is_told(bed: Bed) -> None:
    proof = ["sql/pages_as_defined.sql"]
    assert bed.prove(proof, kinds=KINDS) == []
    with changed(bed, *PAGES), changed(bed, *BELOW):
        told = bed.prove(proof, kinds=KINDS)
    for kind in KINDS:
        there = min(5, bed.kinds[kind])
        assert there == sum(line.startswith(f"page ({kind}) of user ") for line in told) > 0
    assert bed.prove(proof, kinds=KINDS) == []


def test_an_entry_that_is_gone_is_told(bed: Bed) -> None:
    with bed.connection.transaction(force_rollback=True):
        bed.connection.execute("delete from app.feed_entries")
        told = bed.prove(["sql/pages_as_defined.sql"], kinds=["active"])
    assert told


@pytest.mark.parametrize("file", ["sql/pages_as_defined.sql", "sql/pull_as_defined.sql"])
def test_a_kind_that_nobody_is_of_is_told(bed: Bed, file: str) -> None:
    assert "page_50" not in bed.kinds
    assert bed.prove([file], kinds=["active", "page_50"]) == ["nobody is of the kind page_50"]
    assert bed.prove([file], kinds=[]) == ["no kind is drawn from"]


def test_a_wrong_page_of_the_reference_system_s_query_is_told(bed: Bed) -> None:
    proof = ["sql/pull_as_defined.sql"]
    assert bed.prove(proof, kinds=["active"]) == []
    with changed(bed, *PULL):
        assert len(bed.prove(proof, kinds=["active"])) == 5


def test_a_wrong_page_of_everybody_or_of_some_is_told(bed: Bed) -> None:
    proof = ["sql/everybody_as_defined.sql"]
    (kept,) = bed.connection.execute(
        "select array_agg(user_id::text order by user_id) from app.feed_states"
        " where complete_from = 0"
    ).fetchall()
    told = {}
    for readers in (3, 10**9):
        assert bed.prove(proof, readers=readers) == []
        with changed(bed, *PAGES):
            told[readers] = bed.prove(proof, readers=readers)
        named = {line.split()[3].rstrip(":") for line in told[readers]}
        assert len(named) == len(told[readers])
        assert named <= set(kept[0])
    assert len(told[3]) == 3
    assert 10 < len(told[10**9]) <= 20
    with bed.connection.transaction(force_rollback=True):
        bed.connection.execute("update app.feed_states set complete_from = 9007199254740992")
        assert bed.prove(proof, readers=3) == ["no timeline is kept"]


def test_readers_are_drawn_from_everybody_or_from_so_many(bed: Bed) -> None:
    sides = read_all(("timeline-everybody",))[0].sides
    everybody, some = sides
    assert everybody.scripts == some.scripts, "the same statements"
    assert everybody.variables["readers"] > 10**8
    assert some.variables == {"readers": 3000}
    bed.connection.execute(
        "create table bench.asked (user_id bigint); grant insert on bench.asked to member"
    )
    noting = ("bench.reader_from(bigint)", "STABLE SECURITY", "VOLATILE SECURITY")
    inside = (" SELECT COALESCE(", "INSERT INTO bench.asked VALUES (first_id);\n SELECT COALESCE(")
    try:
        with changed(bed, *noting), changed(bed, "bench.reader_from(bigint)", *inside):
            asked = {}
            for readers in (3, 10**9):
                bed.connection.execute("truncate bench.asked")
                round_of(bed, replace(everybody, variables={"readers": readers}, proofs=[]))
                rows = bed.connection.execute("select distinct user_id from bench.asked").fetchall()
                asked[readers] = {row[0] for row in rows}
    finally:
        bed.connection.execute("drop table bench.asked")
    every = bed.user_count
    assert asked[3] == {1, 1 + every // 3, 1 + 2 * every // 3}
    assert len(asked[10**9]) > every / 2, "in a second; of 1,000 draws nearly all"
    assert asked[10**9] <= set(range(1, every + 1))


def test_a_wrong_page_of_readers_of_many_or_few_is_told(bed: Bed) -> None:
    proof = ["sql/degrees_as_defined.sql"]
    assert bed.prove(proof) == []
    with changed(bed, *PAGES):
        assert len(bed.prove(proof)) == 20
    with changed(bed, *PULL):
        assert len(bed.prove(proof)) == 10
    (row,) = bed.connection.execute(
        "select follows, count(distinct user_id) from bench.readers where number <= 10"
        " group by 1 order by 2 desc limit 1"
    ).fetchall()
    proof = ["sql/readers_as_defined.sql"]
    assert bed.prove(proof, follows=row[0]) == []
    with changed(bed, *PAGES):
        assert len(bed.prove(proof, follows=row[0])) == row[1] > 0
    assert bed.prove(proof, follows=5000) == ["nobody follows about 5000"]


def test_a_wrong_answer_to_the_proxy_is_told(bed: Bed) -> None:
    proof = ["sql/answers_as_defined.sql"]
    assert bed.prove(proof) == []
    with changed(bed, *PAGES):
        assert len(bed.prove(proof)) == 5
    with bed.connection.transaction(force_rollback=True):
        bed.connection.execute("update bench.tokens set token = 'none'")
        told = bed.prove(proof)
        assert len(told) == 5
        assert all(": {}, not {" in line for line in told), told
        bed.connection.execute("delete from bench.tokens")
        assert bed.prove(proof) == ["nobody has a token"]


def test_a_wrong_profile_is_told(bed: Bed) -> None:
    proof = ["sql/profile_as_defined.sql"]
    assert bed.prove(proof) == []
    with bed.connection.transaction(force_rollback=True):
        bed.connection.execute(
            "update app.user_counters set posts_count = posts_count + 1 where user_id = 1"
        )
        (told,) = bed.prove(proof)
    assert told.startswith("profile of user 1: ")


def test_a_post_in_no_open_range_is_told_and_so_is_an_author_who_is_not_large(bed: Bed) -> None:
    proof = ["sql/in_open_range.sql"]
    assert bed.prove(proof) == ["no post of anybody with more than 50000 followers"]
    largest = "(select p.user_id from bench.people p where p.kind = 'largest')"
    with bed.connection.transaction(force_rollback=True):
        bed.connection.execute(
            "update app.settings set value = 100 where name = 'fan_out_pull_limit'"
        )
        (row,) = bed.connection.execute(
            f"select count(*) from app.posts where not is_reply and author_id = {largest}"
        ).fetchall()
        told = bed.prove(proof)
        assert len(told) == row[0] > 0
        assert all(line.endswith("is in no open range") for line in told)
        bed.connection.execute(
            f"insert into app.pull_ranges values ({largest}, 0, 9007199254740992)"
        )
        assert bed.prove(proof) == []
        bed.connection.execute("update app.pull_ranges set to_id = 1 where from_id = 0")
        assert bed.prove(proof) == told, "a range that has an end"


@pytest.mark.parametrize("name", ["chunk", "chunk_floor", "chunk_reference"])
def test_a_chunk_that_lacks_rows_is_told(bed: Bed, name: str) -> None:
    proof = [f"sql/{name}_rows.sql"]
    begun = newest_post(bed.connection)
    assert bed.prove(proof) == []
    fewer = (f"bench.{name}()", "limit 5000", "limit 3")
    with changed(bed, *(DELIVERY if name == "chunk" else fewer)):
        (told,) = bed.prove(proof)
    assert told.startswith(f"call bench.{name}(): ")
    assert bed.prove(proof) == []
    written = "select count(*) from app.posts where id >= %s"
    assert bed.connection.execute(written, [begun]).fetchone() == (0,), "it is rolled back"


def test_a_delivery_that_lacks_rows_is_told(bed: Bed) -> None:
    proof = ["sql/fan_out_by_followers_rows.sql"]
    assert bed.prove(proof, followers=100) == []
    with changed(bed, *DELIVERY):
        (told,) = bed.prove(proof, followers=100)
    assert told.startswith("call bench.fan_out(100, 0): ")
    assert bed.prove(proof, followers=3000) == ["nobody has about 3000 active followers"]


def test_a_post_that_was_taken_back_and_is_there_is_told(bed: Bed) -> None:
    proof, begun = ["sql/taken_back.sql"], newest_post(bed.connection)
    assert bed.prove(proof, begun=begun) == []
    with bed.connection.transaction(force_rollback=True):
        bed.connection.execute("set local session_replication_role = replica")
        bed.connection.execute(
            "insert into app.posts (author_id, content)"
            " select p.user_id, 'Written, and taken back.'"
            " from bench.people p where p.kind = 'active' and p.number = 1"
        )
        gone, counted = sorted(bed.prove(proof, begun=begun))
    assert gone.endswith("was taken back, and is there")
    assert counted.startswith("posts of user ")


# -- rounds ----------------------------------------------------------------------------------------


def round_of(bed: Bed, load: Load) -> result.Round:
    """Measure one side for a second."""
    one = replace(load, role="subject")
    alone = Scenario(name="alone", title="Alone", unit="calls/s", warmup=0, sides=[one])
    (measured,) = Turner(bed, alone, 1.0, 3).take_turns(1).sides[0].rounds
    return measured


def side(scenario: str, number: int = 0) -> Load:
    (found,) = read_all((scenario,))
    return found.sides[number]


CURVES = {one.name: one.at(one.sizes[0]) for one in scale.read_all(["users"])}
SIDES = {
    f"{one.name}: {load.name}": load
    for one in read_all(
        ("timeline-sql", "timeline-everybody", "timeline-degrees", "profile-sql", "write-cost",
         "fan-out-chunk", "counters-waiting", "posting-storm")
    )
    for load in one.sides
    if load.proofs
}  # fmt: skip


@pytest.mark.parametrize("name", [*SIDES, *CURVES])
def test_what_is_read_and_written_is_proved_right(bed: Bed, name: str) -> None:
    one = round_of(bed, {**SIDES, **CURVES}[name])
    assert one.wrong == []
    assert not one.errors
    assert one.count > 0


def test_posts_that_are_not_delivered_are_told(bed: Bed) -> None:
    bed.connection.execute("alter table app.posts disable trigger t20_fan_out")
    try:
        one = round_of(bed, side("posting-storm"))
    finally:
        bed.connection.execute("alter table app.posts enable trigger t20_fan_out")
    told = "\n".join(one.wrong)
    assert "is not in the timelines of" in told
    assert "has missing post" in told
    assert "page of user" in told


LOSE = """
create function bench.lose() returns trigger language plpgsql as
$$ begin return case when random() < 0.5 then new end; end $$;
create trigger lose before insert on app.posts for each row execute function bench.lose();
"""


def test_posts_that_are_answered_and_lost_are_told(bed: Bed) -> None:
    bed.connection.execute(LOSE)
    try:
        one = round_of(bed, side("posting-storm"))
    finally:
        bed.connection.execute("drop trigger lose on app.posts; drop function bench.lose()")
    (told,) = one.wrong
    assert f" posts, for {one.count} answers and at most 16 not counted" in told


@pytest.mark.parametrize("number", range(3))
def test_a_post_is_seen_with_each_strategy_and_pull_s_as_soon_as_it_is_there(
    bed: Bed, number: int
) -> None:
    """All pages in one transaction, one member after the other, by the functions that runs call."""
    load = side("strategies-delivery", number)
    one = round_of(bed, load)
    assert one.count > 0
    assert not one.errors
    post, delivered = (one.operations[name].latency.p50 for name in ("post", "delivered"))
    assert delivered > post * 0.99, "whole microseconds, in steps"
    if load.name.startswith("pull"):
        assert delivered < post + 1, "ms: no page was waited for"


def test_a_round_that_posted_nothing_is_told(bed: Bed) -> None:
    begun = newest_post(bed.connection)
    assert bed.prove(["sql/posts_delivered.sql"], begun=begun) == ["nothing was posted"]


@pytest.mark.parametrize(
    ("store", "function", "old", "new"),
    [
        ("ours", "bench.check_page(bigint)", "t.content", "upper(t.content)"),
        ("naive", "naive.check_page(bigint)", "p.content", "upper(p.content)"),
    ],
)
def test_a_wrong_answer_of_twip_s_tables_is_told(
    bed: Bed, store: Any, function: str, old: str, new: str
) -> None:
    load = Load(name=store, store=store, clients=2)
    right = round_of(bed, load)
    assert right.wrong == []
    with changed(bed, function, old, new):
        one = round_of(bed, load)
    assert len(one.wrong) == one.checked > 10
    assert all(": post " in line for line in one.wrong), one.wrong[:3]


def test_an_entry_that_row_triggers_forgot_is_told(bed: Bed) -> None:
    load = Load(name="naive", store="naive", clients=2)
    bed.ready(load)
    # Of each reader the newest, as of Redis.
    bed.connection.execute(
        "create table naive.kept as select t.* from naive.timeline t join"
        " (select user_id, max(post_id) as post_id from naive.timeline group by user_id) n"
        " using (user_id, post_id)"
    )
    bed.connection.execute(
        "delete from naive.timeline t using naive.kept k"
        " where t.user_id = k.user_id and t.post_id = k.post_id"
    )
    try:
        one = round_of(bed, load)
    finally:
        bed.connection.execute("insert into naive.timeline select * from naive.kept")
        bed.connection.execute("drop table naive.kept")
    assert len(one.wrong) > one.checked / 2 > 5
    assert all("1 missing" in line for line in one.wrong), one.wrong[:3]


@needs_redis
@pytest.mark.parametrize("what", ["an entry", "a text"])
def test_a_wrong_answer_of_redis_is_told(bed: Bed, what: str) -> None:
    client = redis.Redis(unix_socket_path=str(bed.redis(graph=True)))
    for key in client.keys("t:*" if what == "an entry" else "p:*"):
        if what == "an entry":
            client.zpopmax(key)
        else:
            client.set(key, client.get(key).replace(b'"content": "', b'"content": "! '))
    load = Load(name="redis", store="redis", clients=2)
    one = round_of(bed, load)
    assert len(one.wrong) > one.checked / 2 > 5
    told = "1 missing" if what == "an entry" else ": post "
    assert all(told in line for line in one.wrong), one.wrong[:3]
    right = round_of(bed, load)
    assert right.wrong == []
    assert right.checked > 10
