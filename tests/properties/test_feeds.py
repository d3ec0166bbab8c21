from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Microblog, no_server_error
from tests.properties.profiles import chosen
from tests.support.servers import Served


def test_whatever_people_do_every_page_equals_the_definition(api: Served) -> None:
    api.http.event_hooks["response"].append(no_server_error)
    run_state_machine_as_test(lambda: Microblog(api), settings=chosen())
    # Or else the search was too tame to tell anything about the slower tiers.
    assert {"fan_out", "follow_backfill", "post_purge", "account_purge"} <= set(Microblog.chunks)
