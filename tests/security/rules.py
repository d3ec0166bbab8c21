"""Who may do what: for each address and verb the statuses that three callers may get.

``anon`` sends no token; ``other`` is a member who goes for what is a victim's, by the requests of
``attacks``; ``owner`` is the victim. A 400 tells anybody that a request is malformed, so it is not
listed. What is not listed is closed: no caller gets more than a refusal. HEAD is as GET; OPTIONS
tells which verbs there are and touches nothing.
"""

from dataclasses import dataclass

CLOSED = {401, 404, 405}


@dataclass(frozen=True)
class Rule:
    """Statuses by caller. ``is_public``: what is published of anybody is shown to anybody."""

    anon: set[int]
    other: set[int]
    owner: set[int]
    is_public: bool = False


READ = Rule({200}, {200}, {200}, is_public=True)
SERVICE = Rule({200}, {200}, {200})
OWN_READ = Rule({401}, {200}, {200})
CLOSED_TO_ALL = Rule(CLOSED, CLOSED, CLOSED)

RULES: dict[str, dict[str, Rule]] = {
    "/": {"GET": SERVICE},
    "/up": {"GET": SERVICE, "POST": SERVICE},
    "/health": {"GET": SERVICE, "POST": SERVICE},
    "/rpc/up": {"GET": SERVICE, "POST": SERVICE},
    "/rpc/health": {"GET": SERVICE, "POST": SERVICE},
    "/users": {
        "GET": READ,
        # 404: one's name is another after the first of these requests.
        "PATCH": Rule(anon={401}, other={403}, owner={200, 403, 404}),
    },
    "/posts": {
        "GET": READ,
        # 201: a post of one's own. What says whose it is, is 403.
        "POST": Rule(anon={401}, other={201, 403}, owner={201, 403}),
        "DELETE": Rule(anon={401}, other={403}, owner={200, 403, 404}),
    },
    "/follows": {
        "GET": READ,
        "POST": Rule(anon={401}, other={201, 403}, owner={201, 403}),
        # 200: none of one's own was met; a repeated unfollow is no error.
        "DELETE": Rule(anon={401}, other={200}, owner={200}),
    },
    "/rpc/signup": {"POST": Rule(anon={409}, other={409}, owner={409})},
    "/rpc/login": {"POST": Rule(anon={401}, other={401}, owner={200})},
    # 204: one's own session.
    "/rpc/logout": {"POST": Rule(anon={401}, other={204}, owner={204})},
    "/rpc/password_change": {"POST": Rule(anon={401}, other={403}, owner={204, 403})},
    "/rpc/account_delete": {"POST": Rule(anon={401}, other={403}, owner={204, 403})},
    "/rpc/me": {"GET": OWN_READ, "POST": OWN_READ},
    "/rpc/feed_timeline": {"GET": OWN_READ, "POST": OWN_READ},
    "/rpc/feed_timeline_cached": {"GET": OWN_READ, "POST": OWN_READ},
    "/rpc/feed_following": {"GET": OWN_READ, "POST": OWN_READ},
    "/rpc/feed_mine": {"GET": OWN_READ, "POST": OWN_READ},
    "/rpc/feed_public": {"GET": READ, "POST": READ},
    "/rpc/feed_public_cached": {"GET": READ, "POST": READ},
    "/rpc/users_popular": {"GET": READ, "POST": READ},
    "/rpc/user_cached": {"GET": READ, "POST": READ},
    "/rpc/replies": {"GET": READ, "POST": READ},
    "/rpc/thread": {"GET": READ, "POST": READ},
    "/rpc/followers": {"GET": READ, "POST": READ},
    "/rpc/following": {"GET": READ, "POST": READ},
}


def rule(path: str, verb: str) -> Rule:
    """Return what is expected of a verb on an address of the table."""
    return RULES[path].get("GET" if verb == "HEAD" else verb, CLOSED_TO_ALL)
