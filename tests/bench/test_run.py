"""A run from beginning to end on a stack of its own: what is measured, checked and kept."""

import csv
import os
from collections.abc import Iterator
from dataclasses import replace as replace_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from microblog.bench import record, result, scale, scale_result
from microblog.bench.bed import Bed
from microblog.bench.generators import Job, Outcome
from microblog.bench.report import figures
from microblog.bench.result import Run
from microblog.bench.run import Turner, problems, run_scenarios
from microblog.bench.scale_result import Scaling
from microblog.bench.scenario import Load, Scenario, Script
from microblog.cli import main
from microblog.commands import bench_run
from microblog.errors import StackError
from microblog.page_cache import Proxy
from microblog.settings import Settings
from microblog.stack import Stack, postgres, proxy
from tests.bench import made_up
from tests.bench.measured import (
    CONSTANT,
    PAGE,
    RATE,
    RAW,
    READ_ELSEWHERE,
    SCENARIOS,
    SENT_BY_K6,
    SEVERAL,
    SHAPE,
)
from tests.bench.needs import needs_redis, needs_wrk

STACK = f"t{os.getpid()}-bench"
CALLS = "select sum(calls) from extensions.pg_stat_statements where query like %s"


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    made = Settings.create(f"{STACK}-{SHAPE.users}", fsync=False, memory_mb=512)
    made.save()
    try:
        yield made
    finally:
        Stack(made).down(wipe=True)


@pytest.fixture(scope="module")
def run(settings: Settings) -> Run:
    return run_scenarios(
        settings, SCENARIOS, rounds=1, seconds=1.0, preset=SHAPE, seed=3, audit=True, progress=False
    )


def only(run: Run, scenario: str, side: int = 0) -> result.Round:
    found = run.scenario(scenario)
    assert found is not None
    (one,) = found.sides[side].rounds
    return one


def test_a_mix_is_measured_by_operation(run: Run) -> None:
    one = only(run, "mix")
    assert set(one.operations) == {"timeline", "post"}
    assert one.count == sum(operation.count for operation in one.operations.values())
    assert one.operations["timeline"].count > one.operations["post"].count > 0
    assert not one.errors
    assert one.value == one.operations["timeline"].latency.p99 > 0
    assert one.offered == RATE


def test_answers_under_load_are_checked_and_right(run: Run) -> None:
    one = only(run, "mix")
    assert one.checked > 10
    assert one.wrong == []
    for side in (0, 1):
        assert only(run, "twip", side).checked > 10
        assert only(run, "twip", side).wrong == []


def test_a_wrong_answer_is_caught(run: Run) -> None:
    one = only(run, "lie")
    assert one.checked == len(one.wrong) > 0
    found = [line for line in problems(run) if line.startswith("lie, constant: timeline of user")]
    assert len(found) == len(one.wrong)


def test_a_wrong_page_of_the_database_s_own_is_caught(settings: Settings, run: Run) -> None:
    """The page that the proxy asks the database for is compared, not what PostgREST says."""
    assert run.scenarios
    pages = Scenario(
        name="pages",
        title="Pages",
        unit="requests/s",
        warmup=0,
        sides=[Load(name="ours", role="subject", clients=2, calls=[PAGE])],
    )
    with Bed(settings) as bed:
        bed.open(SHAPE)
        (row,) = bed.connection.execute(
            "select pg_get_functiondef('app.feed_body'::regproc)"
        ).fetchall()
        wrong = row[0].replace("to_json(r.content)", "to_json(r.content || '?')")
        assert wrong != row[0]
        bed.connection.execute(wrong)
        try:
            (one,) = Turner(bed, pages, 1.0, 3).take_turns(1).sides[0].rounds
        finally:
            bed.connection.execute(row[0])
        assert one.fallbacks == 0
        assert len(one.wrong) == one.checked > 10
        assert all("content" in line for line in one.wrong), one.wrong[:3]


def test_what_is_there_is_audited_before_it_is_measured(run: Run) -> None:
    assert (run.data.audited, run.data.drift) == (SHAPE.users, 0)
    drifted = replace(run, data=replace(run.data, drift=2))
    assert problems(drifted)[0] == "2 rows of feeds or counters are not as defined"
    assert len(problems(drifted)) == len(problems(run)) + 1


def test_a_round_that_checked_nothing_is_wrong(run: Run) -> None:
    one = only(run, "unseen")
    assert one.count > 0
    assert (one.checked, one.wrong) == (0, ["no answer was checked"])
    assert "unseen, constant: no answer was checked" in problems(run)


def test_a_scenario_that_cannot_be_run_fails_alone(run: Run) -> None:
    assert set(run.failures) == {"nobody"}
    assert "got no right answer" in run.failures["nobody"]
    names = [
        *("mix", "lie", "unseen", "twip", "push", "shared", "chunk", "fan-out"),
        *("delivery", "seeding"),
    ]
    assert [one.name for one in run.scenarios] == names


def test_a_run_with_wrong_answers_fails_and_is_kept_all_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_run, "run_scenarios", lambda *_, **__: run)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    with pytest.raises(SystemExit) as ended:
        main("bench", "run", "twip", "--stack", "never-started")
    assert ended.value.code == 1
    assert "nobody failed: nobody: 'post' got no right answer" in capsys.readouterr().err
    assert [result.read(file) for file in tmp_path.glob("*.json")] == [run]


@pytest.mark.parametrize(
    ("options", "within"), [(["--quick"], bench_run.QUICK_WITHIN), (["twip"], None)]
)
def test_a_quick_pass_has_to_be_over_in_five_minutes(
    options: list[str], within: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def run_nothing(*_: Any, **options: Any) -> Run:
        given.append(options)
        return made_up.run(rounds=2, samples=0)

    monkeypatch.setattr(bench_run, "run_scenarios", run_nothing)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    with pytest.raises(SystemExit) as ended:
        main("bench", "run", *options, "--stack", "never-started")
    assert not ended.value.code
    assert [one["deadline"] for one in given] == [within]
    assert within is None or within <= 280, "what stops the stack needs some time too"


def test_a_scenario_that_no_turn_fits_for_is_left_out(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.scenarios
    monkeypatch.setattr(Turner, "fits", lambda *_: False)
    late = run_scenarios(settings, SCENARIOS[:1], preset=SHAPE, progress=False)
    assert (late.left_out, late.scenarios, late.failures) == (["mix"], [], {})


def test_a_round_says_what_it_cost(run: Run) -> None:
    cost = only(run, "mix").cost
    for kind in ("postgres", "postgrest", "generator"):
        assert cost.cpu[kind] > 0, kind
    for kind in ("postgres", "postgrest", "haproxy", "worker"):
        assert cost.memory[kind] > 1_000_000, kind
        assert cost.memory_peak[kind] > 500_000, kind
        assert cost.memory_rest[kind] > 500_000, kind
    assert cost.wal_bytes > 0
    assert cost.buffers_hit > 0
    calls = {one.query: one.calls for one in cost.statements}
    direct = sum(times for query, times in calls.items() if "app.feed_answers" in query)
    assert direct > 0, "no page came from the database itself"
    assert only(run, "chunk").cost.wal_bytes > only(run, "lie").cost.wal_bytes


def test_a_shared_page_and_its_floor_are_the_proxy_s_alone(run: Run) -> None:
    for side in (0, 1):
        one = only(run, "shared", side)
        assert one.count > 50
        assert not one.errors
        read = sum(s.calls for s in one.cost.statements if "feed_public_cached" in s.query)
        assert read <= 6, "a copy that came to its end is made anew, each second in a refresh"


def test_the_subject_is_compared_with_each_side(run: Run) -> None:
    found = run.scenario("mix")
    assert found is not None
    (ratio,) = found.ratios
    ours, floor = only(run, "mix", 0).value, only(run, "mix", 1).value
    assert (ratio.to, ratio.values) == ("floor", [ours / floor])


def test_each_call_of_twip_is_counted_in_each_store(run: Run) -> None:
    for side in (0, 1):
        assert_whole_mix(only(run, "twip", side))


@needs_redis
def test_each_call_of_twip_is_counted_in_redis(run: Run) -> None:
    one = only(run, "twip", 2)
    assert_whole_mix(one)
    assert not one.errors
    assert one.cost.cpu["redis"] > 0
    assert one.checked > 10
    assert one.wrong == []


@needs_redis
def test_the_file_has_all_memory_and_each_side_that_of_what_it_uses(
    run: Run, tmp_path: Path
) -> None:
    found = run.scenario("twip")
    assert found is not None
    memory = {side.name: figures.spent(side).memory for side in found.sides}
    assert set(memory["ours"]) == set(memory["triggers"]) == {"postgres", "worker"}
    assert set(memory["redis"]) == {"redis"}
    for number, side in enumerate(found.sides):
        raw = only(run, "twip", number).cost.memory
        assert {"postgres", "postgrest", "haproxy", "worker"} <= set(raw)
        assert memory[side.name].items() <= raw.items()
    record.table([run], tmp_path / "rounds.csv")
    with (tmp_path / "rounds.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["scenario"] == "twip"]
    assert {row["side"]: int(row["memory_bytes"]) for row in rows} == {
        name: sum(sizes.values()) for name, sizes in memory.items()
    }


def assert_whole_mix(one: result.Round) -> None:
    assert set(one.operations) == {"post", "check", "subscribe", "logout"}
    assert one.operations["check"].count > one.operations["subscribe"].count


@needs_redis
def test_posts_are_pushed_into_redis_by_both_clients(run: Run) -> None:
    for side in (0, 1):
        one = only(run, "push", side)
        assert one.operations["push"].count == one.count > 0
        assert one.cost.cpu["redis"] > 0


def test_without_redis_its_sides_are_absent(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    bed = Bed(settings)
    for load in (Load(name="twip", store="redis"), Load(name="push", pushes="redis-raw")):
        assert "apt-get install -y redis-server" in bed.absent(load)


@needs_wrk
def test_beside_wrk_some_answers_are_checked(settings: Settings, run: Run) -> None:
    assert run.scenarios
    with Bed(settings) as bed:
        bed.open(SHAPE)
        (raw,) = Turner(bed, RAW, 1.0, 3).take_turns(1).sides[0].rounds
        assert raw.checked > 3
        assert raw.wrong == []
        assert raw.measured is not None
        assert raw.measured.p50 > 0


def test_k6_reads_and_posts_and_beside_it_some_answers_are_checked(
    settings: Settings, run: Run
) -> None:
    assert run.scenarios
    with Bed(settings) as bed:
        bed.open(SHAPE)
        (one,) = Turner(bed, SENT_BY_K6, 2.0, 3).take_turns(1).sides[0].rounds
    assert one.operations["timeline"].count > one.operations["post"].count > 0
    assert not one.errors
    assert one.count + one.dropped == 200
    assert one.checked > 3
    assert one.wrong == []
    assert one.cost.cpu["generator"] > 0.1
    assert one.latency.p50 > 0


def test_a_replica_is_read_and_the_primary_counts(settings: Settings, run: Run) -> None:
    assert run.scenarios
    with Bed(settings) as bed:
        bed.open(SHAPE)
        (one,) = Turner(bed, READ_ELSEWHERE, 1.0, 3).take_turns(1).sides[0].rounds
        assert bed.replica is not None
        with postgres.connect(bed.replica, bed.settings.database) as connection:
            read = connection.execute(CALLS, ["%feed_timeline%"]).fetchone()
        page, post = one.operations["timeline"], one.operations["post"]
        assert read is not None
        assert read[0] >= page.count > 50
        primary = {
            name: sum(s.calls for s in one.cost.statements if name in s.query)
            for name in ("feed_timeline", '"posts"', "rate_limit")
        }
        assert primary["feed_timeline"] == 0
        assert primary['"posts"'] >= post.count > 0
        assert primary["rate_limit"] > page.count
        assert one.checked > 10
        assert one.wrong == []
        assert not one.errors
        bed.reshape("direct")
        assert bed.replica is None


def test_a_side_has_as_many_instances_as_it_says_and_each_is_asked(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And PostgreSQL is not restarted between sides, though more of them want more connections."""
    assert run.scenarios
    asked, pooled, postmasters = [], [], set()
    send = Turner.send

    def watched(made: Turner, job: Job) -> Outcome:
        outcome = send(made, job)
        pids = made.bed.pids()
        asked.append((len(pids["postgrest"]), sessions(made.bed.settings)))
        pooled.append("pgbouncer" in pids)
        postmasters.update(pids["postgres"])
        return outcome

    monkeypatch.setattr(Turner, "send", watched)
    made = run_scenarios(settings, [SEVERAL], rounds=1, seconds=1.0, preset=SHAPE, progress=False)
    assert problems(made) == []
    assert [number for number, _ in asked] == [len(some) for _, some in asked] == [3, 1, 3]
    assert all(some > 10 for _, each in asked for some in each), asked
    assert pooled == [False, False, True]
    assert len(postmasters) == 1
    sides = made.scenarios[0].sides
    assert [(one.stack, one.instances) for one in sides] == [
        ("direct", 1), ("direct", 3), ("pooled", 3),
    ]  # fmt: skip


def sessions(settings: Settings) -> list[int]:
    """Return how many requests the stack's proxy has sent to each PostgREST."""
    head, *rows = csv.reader(Proxy(proxy.admin_socket(settings)).ask("show stat").splitlines())
    servers = [dict(zip(head, row, strict=False)) for row in rows if row]
    return [
        int(one["stot"])
        for one in servers
        if one["# pxname"] == "postgrest" and one["svname"].startswith("rest-")
    ]


def test_a_post_is_followed_until_its_readers_see_it(run: Run) -> None:
    """Ten followers have it when the call returns, whatever else is queued."""
    for side in (0, 1):
        one = only(run, "delivery", side)
        assert one.operations["post"].count == one.operations["delivered"].count > 0
        assert one.value == one.operations["delivered"].latency.p50
        assert one.value >= one.operations["post"].latency.p50 > 0
        assert not one.errors
        assert one.wrong == []
    assert only(run, "delivery", 1).left > only(run, "delivery", 0).left


def test_a_figure_is_asked_of_the_database(run: Run) -> None:
    found = run.scenario("seeding")
    assert found is not None
    seed, floor = found.sides
    assert seed.value > 0
    assert "measured with --fresh" in floor.absent
    assert found.ratios == []


def test_what_a_round_posts_is_deleted_after_it(settings: Settings, run: Run) -> None:
    assert only(run, "delivery").count > 0
    with Bed(settings) as bed:
        data = bed.open(SHAPE)
        assert (data.users, data.follows, data.posts) == (200, 4_000, 600)
        assert bed.prove(["sql/largest_counts.sql"]) == []
        (row,) = bed.connection.execute(
            "select (select count(*) from naive.follows)"
            " - (select count(*) from app.follows f join naive.users u on u.id = f.follower_id),"
            " (select count(*) from naive.posts p, naive.beginning b where p.id > b.last_post),"
            " (select count(*) from naive.users u join naive.users_before b using (id)"
            " where u.posts_count <> b.posts_count or u.followers_count <> b.followers_count),"
            " (select count(*) from naive.timeline t"
            " left join naive.posts p on p.id = t.post_id"
            " left join naive.follows f"
            " on f.follower_id = t.user_id and f.followed_id = p.author_id"
            " where f.follower_id is null and p.author_id is distinct from t.user_id)"
        ).fetchall()
        assert row == (0, 0, 0, 0), "the rival begins each round with what it began with"


def test_a_post_is_delivered_by_jobs_and_what_is_missing_is_a_wrong_answer(
    settings: Settings, run: Run
) -> None:
    one = only(run, "fan-out")
    assert one.count > 0
    assert not one.errors
    assert one.wrong == []
    with Bed(settings) as bed:
        bed.open(SHAPE)
        (crowd,) = bed.connection.execute(
            "select count(*) from bench.people p"
            " join app.follows f on f.followed_id = p.user_id where p.kind = 'crowd'"
        ).fetchall()
        assert one.value == pytest.approx(crowd[0] * one.count / one.seconds)
        (post,) = bed.connection.execute("select bench.new_post()").fetchall()
        assert bed.prove(["sql/fan_out_rows.sql"]) == [
            f"post {post[0]} is in 0 timelines of {crowd[0]}"
        ]
        (found,) = bed.prove(["sql/still_queued.sql"])
        assert found.startswith("0 deliveries of "), "nothing is queued"
        bed.forget(post[0])
        bed.run_sql("sql/pairs.sql")
        assert bed.prove(["sql/pair_counts.sql"]) == []
        bed.connection.execute(
            "delete from app.follows f using bench.pairs p where p.kind = 'one' and p.number = 1"
            " and f.follower_id = p.follower_id and f.followed_id = p.followed_id"
        )
        found = bed.prove(["sql/pair_counts.sql"])
        assert found
        assert all("no longer follows user 1" in line for line in found)
        bed.connection.execute(
            "insert into app.follows select p.follower_id, p.followed_id from bench.pairs p"
            " where p.kind = 'one' and p.number = 1"
        )
        bed.connection.execute(
            "update app.user_counters c set following_count = c.following_count + 1"
            " from bench.pairs p"
            " where p.kind = 'many' and p.number = 1 and c.user_id = p.follower_id"
        )
        assert "following of user" in bed.prove(["sql/pair_counts.sql"])[0]
        bed.connection.execute(
            "update app.user_counters c set following_count = c.following_count - 1"
            " from bench.pairs p"
            " where p.kind = 'many' and p.number = 1 and c.user_id = p.follower_id"
        )


def test_what_is_wrong_with_the_counters_is_a_wrong_answer(settings: Settings, run: Run) -> None:
    assert run.scenarios
    with Bed(settings) as bed:
        bed.open(SHAPE)
        bed.connection.execute(
            "update app.user_counters set followers_count = followers_count + 1 where user_id = 1"
        )
        (found,) = bed.prove(["sql/largest_counts.sql"])
        assert found.startswith("followers of user 1: 161 counted, 160 there are")
        bed.connection.execute(
            "update app.user_counters set followers_count = followers_count - 1 where user_id = 1"
        )


def test_a_run_whose_time_is_over_says_what_it_left_out(settings: Settings, run: Run) -> None:
    assert run.left_out == []
    late = run_scenarios(
        settings, SCENARIOS[:2], deadline=0.0, preset=SHAPE, progress=False, say=lambda _: None
    )
    assert (late.left_out, late.scenarios, late.failures) == (["mix", "lie"], [], {})


@pytest.fixture(scope="module")
def scaled(settings: Settings, run: Run) -> Iterator[Scaling]:
    """Curves on the network of the runs: one that is well, one of wrong answers, one that fails,
    and one over networks that are too small to be made.
    """
    assert run.scenarios
    load = Load(name="", calls=[PAGE])

    def sizes(name: str, load: Load, vary: str = "clients") -> scale.Sizes:
        return scale.Sizes(
            name=name, title=name, vary=vary, axis="connections", measure="rate", sizes=[1, 2],
            load=load, warmup=0.2,
        )  # fmt: skip

    lying = replace(load, door="no-pre-request", calls=[replace(CONSTANT, check="timeline")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale, "run_scenarios", partial(run_scenarios, progress=False))
        yield scale.run(
            [
                sizes("pages", load),
                sizes("lie", lying),
                sizes("nobody", replace(load, calls=[replace(PAGE, path="/nosuch")])),
                sizes("users", load, vary="users"),
            ],
            stack=STACK,
            preset=SHAPE,
            rounds=1,
            seconds=1.0,
        )


def test_curves_are_drawn_from_runs_that_are_kept_whole(scaled: Scaling) -> None:
    pages = scaled.curves[0]
    assert [point.x for point in pages.points] == [1, 2]
    (made,) = scaled.runs
    assert made.data.users == 200
    found = made.scenario("pages")
    assert found is not None
    assert [side.name for side in found.sides] == ["1", "2"]
    for side, point in zip(found.sides, pages.points, strict=True):
        (one,) = side.rounds
        assert point.values == [one.rate]
        assert one.histogram
        assert one.cost.cpu["postgres"] > 0
        assert "others" in one.cost.cpu
        assert one.checked > 0


def test_a_curve_that_fails_takes_no_other_with_it(scaled: Scaling) -> None:
    assert set(scaled.failures) == {"nobody", "users at 1", "users at 2"}
    assert "got no right answer" in scaled.failures["nobody"]
    assert scaled.failures["users at 2"].startswith("2 users; expected at least 100")
    assert [(one.name, len(one.points)) for one in scaled.curves] == [
        ("pages", 2), ("lie", 2), ("nobody", 0), ("users", 0),
    ]  # fmt: skip


NETWORKS = {users: replace_dataclass(SHAPE, users=users) for users in (200, 300)}


@pytest.fixture(scope="module")
def across() -> Iterator[Scaling]:
    """Curves over users: two that are well, one that fails, one that somebody breaks off.

    Of two networks, and of one that is too small to be made.
    """
    load = Load(name="", calls=[PAGE], clients=2)
    loads = {
        "users": load,
        "nobody": replace(load, calls=[replace(PAGE, path="/nosuch")]),
        "users-sql": Load(
            name="", clients=1, scripts=[Script(name="page", file="sql/timeline.sql")]
        ),
        "stopped": load,
    }
    curves = [
        scale.Sizes(
            name=name, title=name, vary="users", axis="users", measure="cpu",
            sizes=[1, 200, 300], load=load, warmup=0.2,
        )
        for name, load in loads.items()
    ]  # fmt: skip
    take_turns = Turner.take_turns

    def until_stopped(turner: Turner, rounds: int) -> result.ScenarioResult:
        if turner.scenario.name == "stopped":
            raise KeyboardInterrupt
        return take_turns(turner, rounds)

    made = [
        Settings.create(f"{STACK}-full-{users}", fsync=False, memory_mb=512) for users in NETWORKS
    ]
    shape = scale.shape
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale, "shape", lambda users: NETWORKS.get(users) or shape(users))
        patch.setattr(Turner, "take_turns", until_stopped)
        try:
            for one in made:
                one.save()
            yield scale.run(curves, stack=STACK, preset="small", rounds=2, seconds=1.0)
        finally:
            for one in made:
                Stack(one).down(wipe=True)


def test_networks_of_all_sizes_take_turns_and_are_seeded_once(across: Scaling) -> None:
    assert [made.data.users for made in across.runs] == [200, 300]
    for name in ("users", "users-sql"):
        taken = []
        for made in across.runs:
            found = made.scenario(name)
            assert found is not None
            (side,) = found.sides
            assert side.name == str(made.data.users)
            taken += [(one.at, side.name) for one in side.rounds]
        assert [size for _, size in sorted(taken)] == ["200", "300", "300", "200"]
    assert across.runs[0].data.people != across.runs[1].data.people


def test_the_answers_of_each_network_are_its_own(across: Scaling) -> None:
    for made in across.runs:
        found = made.scenario("users")
        assert found is not None
        for one in found.sides[0].rounds:
            assert one.checked > 0
            assert one.wrong == []
            assert one.cost.cpu["haproxy"] > 0


def test_a_curve_over_users_keeps_what_could_be_measured(across: Scaling) -> None:
    assert [[point.x for point in one.points] for one in across.curves] == [
        [200, 300], [], [200, 300], [],
    ]  # fmt: skip
    assert across.curves[0].points[0].note.endswith(" per second")
    assert across.failures.pop("stopped") == "broken off"
    assert "got no right answer" in across.failures.pop("nobody")
    assert set(across.failures) == {f"{one.name} at 1" for one in across.curves}


def test_curves_with_wrong_answers_fail_and_are_kept_all_the_same(
    scaled: Scaling,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scale, "run", lambda *_, **__: scaled)
    monkeypatch.setattr(scale, "FOLDER", tmp_path)
    with pytest.raises(SystemExit) as ended:
        main("bench", "scale", "follows", "--stack", "never-started")
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "nobody failed: nobody: '1' got no right answer" in told
    assert "lie, 1: timeline of user" in told
    (file,) = tmp_path.glob("*.json")
    assert scale_result.read(file) == scaled
    with file.with_suffix(".csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["users"], row["scenario"], row["side"]) for row in rows] == [
        ("200", name, side) for name in ("pages", "lie") for side in ("1", "2")
    ]
    assert float(rows[0]["postgres_cpu_seconds"]) > 0
    assert float(rows[0]["memory_peak_bytes"]) > 0


def test_a_run_says_on_what_it_was_made(run: Run) -> None:
    assert (run.data.users, run.data.posts) == (200, 600)
    assert run.data.preset == "200 users, 4000 follows, 600 posts"
    assert run.took > sum(one.seconds for found in run.scenarios for one in found.subject.rounds)
    assert run.data.tables["feed_entries"] > 0
    assert run.versions["postgresql"]
    assert run.versions["postgrest"]
    assert run.machine.cores == os.cpu_count()
    assert not any(os.sep in value for value in run.settings.values()), "no path of this machine"


def test_a_run_is_kept_whole_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    file = record.save(run, tmp_path)
    assert result.read(file) == run
    with file.with_suffix(".csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["scenario"], row["side"]) for row in rows] == [
        (scenario.name, side.name)
        for scenario in run.scenarios
        for side in scenario.sides
        if side.rounds
    ]
    with pytest.raises(FileExistsError):
        record.save(run, tmp_path)


def test_the_stack_is_down_afterwards_and_its_data_stays(settings: Settings, run: Run) -> None:
    assert run.scenarios
    assert not Stack(settings).supervisor.running()
    assert (settings.data_dir / "PG_VERSION").exists()


def test_data_of_another_kind_is_not_measured(settings: Settings, run: Run) -> None:
    assert run.scenarios
    with Bed(settings) as bed, pytest.raises(StackError, match="holds preset 200 users") as refused:
        bed.open("demo")
    assert "--fresh" in (refused.value.hint or "")


def test_the_stack_that_serves_people_is_left_alone() -> None:
    with pytest.raises(StackError, match="main serves people"):
        run_scenarios(Settings.create(), [])
