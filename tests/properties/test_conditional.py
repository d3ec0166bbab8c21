from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.conditional import PAGED, WHOLE, Conditional, Question
from tests.properties.machine import no_server_error
from tests.properties.profiles import chosen
from tests.properties.test_feeds import SMALLEST
from tests.support.servers import Served


def test_the_machine_gets_and_is_refused_a_304_on_either_way(api: Served) -> None:
    """One run by hand: the search below would prove nothing without these."""
    machine = Conditional(api)
    try:
        drive(machine)
    finally:
        machine.teardown()
    assert machine.withheld > 100
    assert machine.foreign > 20
    assert 0 < machine.by_proxy < machine.given
    assert machine.direct > 20


def drive(machine: Conditional) -> None:
    """Ask for everything before and after each kind of write."""
    machine.begin(SMALLEST, [(set(range(5)), 3, [])] * 5, follow_first=True)
    one, two, three, *_ = machine.members.values()
    pool = [
        Question(f"{address}limit=3" if address in PAGED else address, 4, 1, caller, None, "GET")
        for address in (*PAGED, *WHOLE)
        for caller in (0, 1)
    ]
    machine.choose(pool)

    def look_at_everything() -> None:
        for question in machine.pool:
            machine.ask_again(question)

    look_at_everything()
    for act in (
        lambda: machine.reply(two, 0),
        lambda: machine.change_profile(two, "d"),
        lambda: machine.rename(1, "upper"),
        lambda: machine.delete_a_post(1, one),
        lambda: machine.unfollow(one, two),
        lambda: machine.write(one, "x", 1),
        lambda: machine.work_a_little(4),
        lambda: machine.drop_timelines_of_people_away_for_long([one], back=True),
        lambda: machine.delete_account(three),
    ):
        act()
        look_at_everything()


def test_a_304_is_given_exactly_where_the_page_is_the_one_that_the_tag_came_with(
    api: Served,
) -> None:
    api.http.event_hooks["response"].append(no_server_error)
    profile = chosen()
    # Each step asks for dozens of pages.
    fewer = settings(profile, max_examples=profile.max_examples // 4)
    run_state_machine_as_test(lambda: Conditional(api), settings=fewer)
