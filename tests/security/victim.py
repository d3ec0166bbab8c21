"""Somebody with something of everything, and a look at all that is not a caller's own."""

from itertools import count
from typing import Any

from tests.support.database import Database
from tests.support.servers import Served

_numbers = count(1)


class Victim:
    """Has posts, a reply, a follow, sessions and an Idempotency-Key.

    ``rows`` holds a row of theirs for each table of the API, ``keys`` the primary keys;
    ``values`` what an argument of a name would be to go for them. ``public`` marks what others
    may see of them where they look for it, ``private`` what nobody else may see at all.
    """

    def __init__(self, served: Served) -> None:
        # Ends in a letter: no name is the beginning of another.
        name = f"victim_{next(_numbers)}_x"
        password = f"the password of {name}"
        self.member = served.signup(name, password)
        friend = served.signup()
        self.member.patch(f"/users?id=eq.{self.member.id}", json={"description": f"about {name}"})
        self.member.follow(friend)
        answered = friend.write(f"friend of {name}")
        self.member.write(f"reply by {name}", answered["id"])
        post = self.member.write(f"post by {name}", Idempotency_Key=f"key of {name}")
        (follow,) = self.member.get(f"/follows?follower_id=eq.{self.member.id}").json()
        self.rows: dict[str, dict[str, Any]] = {
            "/users": self.member.profile(),
            "/posts": post,
            "/follows": follow,
        }
        self.keys = {
            "/users": ("id",),
            "/posts": ("id",),
            "/follows": ("follower_id", "followed_id"),
        }
        self.values: dict[str, Any] = {
            "user_id": self.member.id,
            "post_id": answered["id"],
            "username": name,
            "password": password,
            "current_password": password,
            "new_password": "quite another password",
            "all": True,
            "cursor": str(post["id"] + 1),
            "limit": 100,
        }
        self.public = [name, f"post by {name}", f"reply by {name}", f"friend of {name}"]
        database = served.database
        self.private = [f"key of {name}", *database.values("select value from app.secrets")]
        for secret in (
            "select jti from app.sessions where user_id = %s",
            "select password_hash from app.credentials where user_id = %s",
            "select encode(fingerprint, 'hex') from app.idempotency_keys where user_id = %s",
        ):
            found = database.values(secret, [self.member.id])
            assert found, "a mark that is not there would prove nothing"
            self.private += found


# Whose a row is, for each table of the schema app: the column with its owner's id. None: no
# caller's, so that no request may change it.
OWNER: dict[str, str | None] = {
    "users": "id",
    "user_counters": "user_id",
    "credentials": "user_id",
    "sessions": "user_id",
    "posts": "author_id",
    "follows": "follower_id",
    "feed_entries": "user_id",
    "feed_states": "user_id",
    "idempotency_keys": "user_id",
    "pull_ranges": "author_id",
    "feed_horizon": None,
    "view_refreshes": None,
    "cached_calls": None,
    "cache_proxies": None,
    "cache_reports": None,
    "settings": None,
    "secrets": None,
    "job_schedules": None,
    "workers": None,
    "rate_limits": None,
    "rate_limit_exemptions": None,
}

# What others do counts here, by its nature; a job follows from a post or a follow; and every
# request counts against its limits.
OF_EVERYBODY = {
    "user_counter_deltas", "post_counter_deltas", "jobs",
    "rate_limit_buckets", "rate_limit_refusals", "rate_limit_totals",
}  # fmt: skip
COUNTS_OF_OTHERS = "'followers_count' - 'replies_count'"


def belongings(database: Database, but_of: int | None = None) -> set[tuple[str, str]]:
    """Return every row that is not this user's, as (table, content); without a user, all rows."""
    parts = [
        f"select '{table}', (to_jsonb(t) - {COUNTS_OF_OTHERS})::text from app.{table} t"
        + (f" where %(me)s::bigint is null or t.{column} is distinct from %(me)s" if column else "")
        for table, column in OWNER.items()
    ]
    return set(database.run(" union all ".join(parts), {"me": but_of}))
