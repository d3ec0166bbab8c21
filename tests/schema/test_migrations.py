"""Deploy, revert, verify: with sqitch as the stack runs it, and script by script."""

from collections.abc import Iterator

import psycopg
import pytest

from microblog import migrate
from tests.support import plan
from tests.support.catalog import fingerprint, schema_dump
from tests.support.cluster import Cluster
from tests.support.database import Database


@pytest.fixture(autouse=True)
def roles_keep_their_passwords(cluster: Cluster) -> Iterator[None]:
    """Whatever a test reverts, other databases of the cluster go on."""
    yield
    with cluster.clone() as database:
        migrate.install_secrets(cluster.settings, database.name)


@pytest.fixture(scope="module")
def fresh_dump(cluster: Cluster) -> str:
    with cluster.clone() as database:
        return schema_dump(database)


def fill(database: Database) -> None:
    """Give the database some of everything: rows in feeds, sessions, jobs, deltas."""
    a, b, c = database.users(3)
    database.follow([a, b], c)
    database.set(fan_out_sync_limit=1)
    post = database.post(c)
    database.post(a, "a reply", parent=post)
    database.work()
    database.run("select app.session_start(%s)", [a])
    database.run("insert into app.user_counter_deltas (user_id, followers) values (%s, 0)", [a])
    database.run("insert into app.idempotency_keys values (%s, 'k', 'f', %s)", [a, post])
    assert database.value("select count(*) from app.jobs") > 0


def remains(database: Database) -> list[str]:
    """What is left of ours."""
    return database.values(
        "select nspname from pg_namespace where nspname in ('app', 'api', 'dba', 'extensions')"
        " union all select extname from pg_extension where extname <> 'plpgsql'"
        " union all select 'default privileges' from pg_default_acl"
    )


def test_everything_can_be_reverted_and_deployed_again_while_empty(
    cluster: Cluster, fresh_dump: str
) -> None:
    with cluster.clone() as database:
        migrate.revert(cluster.settings, database.name)
        assert remains(database) == []
        migrate.deploy(cluster.settings, database.name)
        assert schema_dump(database) == fresh_dump


def test_everything_can_be_reverted_and_deployed_again_while_full(
    cluster: Cluster, fresh_dump: str
) -> None:
    with cluster.clone() as database:
        fill(database)
        migrate.revert(cluster.settings, database.name)
        assert remains(database) == []
        migrate.deploy(cluster.settings, database.name)
        assert schema_dump(database) == fresh_dump
        assert database.value("select count(*) from app.users") == 0
        database.post(database.user())


def test_a_revert_leaves_the_roles_that_other_databases_use(cluster: Cluster) -> None:
    """Roles belong to the cluster. Two databases; one goes; the other's clients still log in."""
    with cluster.clone() as other, cluster.clone() as database:
        migrate.install_secrets(cluster.settings, other.name)
        migrate.revert(cluster.settings, database.name)
        roles = other.values("select rolname from pg_roles")
        used = {"microblog_owner", "authenticator", "anon", "member"}
        used |= {"worker", "limiter", "proxy", "monitor"}
        assert used <= set(roles)
        assert other.value(
            "select rolpassword is not null from pg_authid where rolname = %s", ["authenticator"]
        )


def test_deploying_again_changes_nothing(cluster: Cluster, fresh_dump: str) -> None:
    with cluster.clone() as database:
        said: list[str] = []
        migrate.deploy(cluster.settings, database.name, say=said.append)
        assert any("up-to-date" in line for line in said)
        assert schema_dump(database) == fresh_dump


MIDWAY = plan.changes()[len(plan.changes()) // 2]


@pytest.mark.parametrize("step", [*plan.tags(), MIDWAY])
def test_an_earlier_state_migrated_to_the_newest_equals_a_fresh_one(
    cluster: Cluster, fresh_dump: str, step: str
) -> None:
    """From each tag ever released, and from the middle of the plan, on to HEAD."""
    with cluster.empty() as database:
        migrate.deploy(cluster.settings, database.name, to=step)
        migrate.deploy(cluster.settings, database.name)
        assert schema_dump(database) == fresh_dump


def test_each_revert_undoes_exactly_its_own_change(cluster: Cluster) -> None:
    """Down through the plan in one database, up in another: the same state at each step."""
    first, *others = plan.changes()
    with cluster.clone() as falling, falling.superuser() as connection:
        falling.set(bcrypt_cost=10)  # the only difference between the template and the scripts
        whole = fingerprint(falling)
        before = {}
        for change in reversed(others):
            connection.execute(plan.revert_script(change).read_text())
            before[change] = fingerprint(falling)
    with cluster.empty() as rising, rising.superuser() as connection:
        migrate.deploy(cluster.settings, rising.name, to=first)
        for change in others:
            assert before[change] ^ fingerprint(rising) == set(), f"revert of {change}"
            connection.execute(plan.deploy_script(change).read_text())
        assert whole ^ fingerprint(rising) == set()


def test_each_verify_script_tells_whether_its_change_is_there(cluster: Cluster) -> None:
    with cluster.clone() as database, database.superuser() as connection:
        for change in reversed(plan.changes()):
            verify = plan.verify_script(change).read_text()
            connection.execute(verify)
            connection.execute(plan.revert_script(change).read_text())
            if change == "schema/roles":  # stay, because the template uses them
                continue
            with pytest.raises(psycopg.Error):
                connection.execute(verify)
                pytest.fail(f"verify of {change} passes without it")
            connection.execute("rollback")
