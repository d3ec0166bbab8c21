from collections import Counter
from collections.abc import Iterator
from itertools import cycle

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import MONTHS, Microblog, Reached, no_server_error
from tests.properties.profiles import chosen
from tests.support.horizon import NEVER, partitions
from tests.support.servers import Served

# Everybody is above every limit, everything takes several chunks.
SMALLEST = {
    "fan_out_sync_limit": 0,
    "fan_out_chunk_size": 1,
    "fan_out_pull_limit": 100,
    "fan_out_push_limit": 100,
    "backfill_sync_limit": 0,
    "backfill_chunk_size": 1,
    "account_purge_sync_limit": 0,
}
# Everybody but who is pulled is below every limit: nothing is queued.
LARGEST = dict.fromkeys(SMALLEST, 100)


@pytest.fixture
def machine(api: Served) -> Iterator[Microblog]:
    """The machine, driven by hand; at the end all is compared once more."""
    made = Microblog(api)
    try:
        yield made
    finally:
        made.teardown()


def test_the_machine_crosses_every_tier(machine: Microblog) -> None:
    """One run by hand: the rules reach what the search below is there to try."""
    everybody = set(range(5))
    machine.begin(SMALLEST, [(everybody, 3, [20, 50, 80, 110, 140])] * 5, follow_first=True)
    one, two, three, *_ = machine.members.values()
    machine.work_a_little(4)
    machine.delete_a_post(0, one)
    machine.follow_unfollow_follow(one, two)
    machine.drain([3])
    machine.drop_timelines_of_people_away_for_long([one, two], back=True)
    before = partitions(machine.api.database)
    machine.let_retention_pass(2)
    machine.drain([2, 1])
    machine.write_in_past_months(two, one, [15, 100, 200])
    machine.let_retention_pass(1)
    assert len(partitions(machine.api.database)) == len(before) - 3
    machine.drain([3])
    machine.change_limits(SMALLEST | {"fan_out_pull_limit": 2, "fan_out_push_limit": 1})
    machine.write(one, "merged in by readers", 2)
    machine.reply(two, 0)
    machine.delete_account(three)
    machine.look_around()
    machine.drain([7])
    for kind in ("fan_out", "follow_backfill", "post_purge", "account_purge", "feed_rebuild"):
        assert machine.chunks[kind] > 1, f"chunks of {kind}: {machine.chunks}"
    assert machine.api.database.value("select count(*) from app.pull_ranges") == 1


def ranges(machine: Microblog) -> list[tuple[int, ...]]:
    """Return from where to where posts are merged in."""
    return machine.api.database.run("select from_id, to_id from app.pull_ranges order by 1")


@pytest.mark.parametrize("limits", [LARGEST, SMALLEST], ids=["within the post", "by jobs"])
def test_an_author_grows_too_large_to_deliver_shrinks_and_grows_again(
    machine: Microblog, limits: dict[str, int]
) -> None:
    """Readers never notice, whether they stay, leave or come back."""
    machine.begin(
        limits | {"fan_out_pull_limit": 2, "fan_out_push_limit": 1},
        [(set(), 1, [40])] * 4,
        follow_first=False,
    )
    author, *fans = machine.members.values()

    def compare() -> None:
        machine.note_tiers()
        for member in machine.members.values():
            machine.check_meanwhile(member)
            if limits is LARGEST:
                machine.check_whole_feeds(member, cycle([2]))
        machine.drain([2])

    def write() -> int:
        machine.write(author, "hello", 1)
        compare()
        return machine.written[-1]

    for fan in fans:
        machine.follow(fan, author)
        compare()
    assert ranges(machine) == []
    first = write()
    assert ranges(machine) == [(first, NEVER)]
    machine.unfollow(fans[0], author)
    compare()
    write()
    assert ranges(machine) == [(first, NEVER)], "between the limits nothing changes"
    machine.unfollow(fans[1], author)
    compare()
    delivered = write()
    assert ranges(machine) == [(first, delivered)]
    assert delivered < NEVER
    for fan in fans[:2]:
        machine.follow(fan, author)
        compare()
    again = write()
    assert ranges(machine) == [(first, delivered), (again, NEVER)]
    assert (machine.reached[Reached.PULLED], machine.reached[Reached.DELIVERED]) == (2, 1)


def test_what_was_merged_in_of_months_that_are_dropped_is_read_as_the_rest_of_them(
    machine: Microblog,
) -> None:
    limits = LARGEST | {"fan_out_pull_limit": 2, "fan_out_push_limit": 1}
    machine.begin(limits, [(set(), 0, [])] * 4, follow_first=True)
    author, *fans = machine.members.values()
    for fan in fans:
        machine.follow(fan, author)
    machine.write_in_the_past([(author.id, 130)])
    machine.unfollow(fans[0], author)
    machine.unfollow(fans[1], author)
    machine.write_in_the_past([(author.id, 110)])
    assert ranges(machine) == [tuple(machine.written)]
    machine.follow(fans[0], author)
    machine.drain([1])
    machine.let_retention_pass(MONTHS)
    assert ranges(machine) == []
    machine.drain([1])


def test_whatever_people_do_every_page_equals_the_definition(api: Served) -> None:
    api.http.event_hooks["response"].append(no_server_error)
    reached: Counter[str] = Counter()
    run_state_machine_as_test(lambda: Microblog(api, reached), settings=chosen())
    assert all(reached[what] for what in Reached), f"not all was reached: {dict(reached)}"
