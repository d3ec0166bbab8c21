from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Microblog, no_server_error
from tests.properties.profiles import chosen
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


def test_the_machine_crosses_every_tier(api: Served) -> None:
    """One run by hand: the rules reach what the search below is there to try."""
    machine = Microblog(api)
    everybody = set(range(5))
    machine.begin(SMALLEST, [(everybody, 3)] * 5, follow_first=True)
    one, two, three, *_ = machine.members.values()
    machine.work_a_little(4)
    machine.delete_a_post(0, one)
    machine.follow_unfollow_follow(one, two)
    machine.drain([3])
    machine.drop_timelines_of_people_away_for_long([one, two], back=True)
    machine.let_retention_pass(8)
    machine.drain([2, 1])
    machine.change_limits(SMALLEST | {"fan_out_pull_limit": 2, "fan_out_push_limit": 1})
    machine.write(one, "merged in by readers", 2)
    machine.reply(two, 0)
    machine.delete_account(three)
    machine.look_around()
    machine.teardown()
    for kind in ("fan_out", "follow_backfill", "post_purge", "account_purge", "feed_rebuild"):
        assert machine.chunks[kind] > 1, f"chunks of {kind}: {machine.chunks}"
    assert api.database.value("select count(*) from app.pull_ranges") == 1


def test_whatever_people_do_every_page_equals_the_definition(api: Served) -> None:
    api.http.event_hooks["response"].append(no_server_error)
    run_state_machine_as_test(lambda: Microblog(api), settings=chosen())
