"""Who may do what: for each address and verb the statuses that three callers may get.

``anon`` sends no token; ``other`` is a member who goes for what is a victim's, by the requests of
``attacks``; ``owner`` is the victim. What is not listed is closed: no caller gets more than a
refusal. HEAD is as GET; OPTIONS tells which verbs there are and touches nothing.

A 400 tells anybody that a request is malformed. It proves nothing about whose a row is, so where
some of the requests of ``attacks`` get one is listed, too, by address and verb, with the codes.
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


_QUERY = {"query_not_supported"}  # a filter by a column that is not offered
_NO_FILTER = {"filter_required"}
_LIMITED = {"PGRST109"}  # a limit for a DELETE
_ARGUMENT = {"parameter_unknown"}  # a password and what goes with it, in the address
_POST_ID, _USER_ID = {"post_id_required"}, {"user_id_required"}

MALFORMED: dict[tuple[str, str], set[str]] = {
    **{("/", verb): {"PGRST102"} for verb in ("POST", "PUT", "PATCH")},  # without a body
    **{(path, "GET"): _QUERY for path in ("/users", "/posts", "/follows")},
    **{(path, "POST"): _QUERY for path in ("/users", "/follows")},
    ("/posts", "POST"): _QUERY | {"content_empty"},
    ("/users", "PATCH"): _QUERY | _NO_FILTER,
    **{(path, "PATCH"): _QUERY for path in ("/posts", "/follows")},
    ("/users", "DELETE"): _QUERY | _LIMITED,
    **{(path, "DELETE"): _QUERY | _LIMITED | _NO_FILTER for path in ("/posts", "/follows")},
    **{
        (f"/rpc/{call}", verb): _ARGUMENT
        for call in ("signup", "login", "logout", "password_change", "account_delete")
        for verb in ("GET", "DELETE")
    },
    ("/rpc/signup", "POST"): {"password_too_short", "username_invalid"},
    ("/rpc/login", "POST"): {"credentials_required"},
    ("/rpc/password_change", "POST"): {"password_too_short"},
    **{(f"/rpc/{call}", v): _POST_ID for call in ("replies", "thread") for v in ("GET", "POST")},
    **{
        (f"/rpc/{call}", verb): _USER_ID
        for call in ("followers", "following", "user_cached")
        for verb in ("GET", "POST")
    },
}


def malformed(path: str, verb: str) -> set[str]:
    """Return the codes of the 400s that requests with a verb on an address may get.

    An OPTIONS is looked at by the proxy like any request, and its query by PostgREST as if it
    were a table's.
    """
    codes = MALFORMED.get((path, "GET" if verb in ("HEAD", "OPTIONS") else verb), set())
    return codes | {"PGRST100"} if verb == "OPTIONS" else codes


def rule(path: str, verb: str) -> Rule:
    """Return what is expected of a verb on an address of the table."""
    return RULES[path].get("GET" if verb == "HEAD" else verb, CLOSED_TO_ALL)
