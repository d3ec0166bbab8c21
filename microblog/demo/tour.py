"""The tour: what a client does with the API, with real requests and their real answers."""

import secrets
from typing import Any

from rich.console import Console
from rich.text import Text

from microblog.demo.calls import Answer, Call
from microblog.errors import StackError


class Tour:
    """Sends calls one after another, prints each, and stops at the first unexpected answer."""

    def __init__(self, url: str, console: Console) -> None:
        self.url = url
        self.console = console
        self.steps = 0

    def step(self, title: str, call: Call, status: int) -> Any:
        """Send and print a call that has to answer ``status``; return the body."""
        return self.answer(title, call, status).body

    def answer(self, title: str, call: Call, status: int) -> Answer:
        """Like ``step``, but return the whole answer."""
        self.steps += 1
        self.console.print(Text(f"\n# {self.steps}. {title}", style="bold"))
        self.console.print(Text(call.curl(self.url), style="cyan"))
        answer = call.send(self.url)
        self.console.print(Text(answer.shown()))
        if answer.status != status:
            raise StackError(
                f"{title}: answered {answer.status}, expected {status}",
                f"{call.method} {self.url}{call.path}",
            )
        return answer

    def must(self, holds: bool, what: str) -> None:
        """Stop the tour unless the answer said what it had to."""
        if not holds:
            raise StackError(f"step {self.steps}: expected {what}")


def tour(url: str, console: Console) -> None:
    """Sign up a new user and walk through the API; raise StackError where it misbehaves."""
    way = Tour(url, console)
    health = way.step("Is it up?", Call("GET", "/health"), 200)
    way.must("schema" in health, "the schema's version")

    username = f"tour_{secrets.token_hex(4)}"
    credentials = {"username": username, "password": secrets.token_urlsafe(12)}
    signed_up = way.step("Sign up", Call("POST", "/rpc/signup", credentials), 201)
    token, me = signed_up["token"], signed_up["user"]["id"]
    console.print(Text(f"TOKEN={token}", style="cyan"))

    post_id = _write(way, token)
    author = _meet(way, token, me)
    _read(way, token, me, author, post_id)
    _leave(way, token, author, post_id)

    again = Call("POST", "/rpc/login", credentials)
    console.print(Text("\n# To go on as this user, log in: the answer holds a new token.", "bold"))
    console.print(Text(again.curl(url), style="cyan"))
    console.print()


def _write(way: Tour, token: str) -> int:
    """Post twice and change the profile; return the id of the first post."""
    represent = "return=representation"
    first = way.step(
        "Post", Call("POST", "/posts", {"content": "Hello, world!"}, token, represent), 201
    )
    way.step("Post again", Call("POST", "/posts", {"content": "Still here. 👋"}, token), 201)
    me = way.step("One's own profile", Call("GET", "/rpc/me", token=token), 200)
    way.must(me["posts_count"] == 2, "two posts")
    way.step(
        "Say who you are",
        Call("PATCH", f"/users?id=eq.{me['id']}", {"description": "On a tour"}, token),
        204,
    )
    post_id: int = first[0]["id"]
    return post_id


def _meet(way: Tour, token: str, me: int) -> dict[str, Any]:
    """Find somebody else's post in the public feed, reply to it and follow its author."""
    public = way.step("The public feed, without a token", Call("GET", "/rpc/feed_public"), 200)
    others = [post for post in public if post["author"] and post["author"]["id"] != me]
    townspeople = [post for post in others if not post["author"]["username"].startswith("tour_")]
    post = next(iter(townspeople or others), None) or _company(way)
    author: dict[str, Any] = post["author"]
    reply = way.step(
        f"Reply to {author['username']}",
        Call(
            "POST",
            "/posts",
            {"content": "Nice to meet you!", "parent_id": post["id"]},
            token,
            "return=representation",
        ),
        201,
    )
    way.must(reply[0]["parent_id"] == post["id"], "a reply to that post")
    thread = way.step("The thread", Call("GET", f"/rpc/thread?post_id={post['id']}"), 200)
    way.must(thread["post"]["id"] == post["id"], "that post in its thread")
    way.step(
        f"Follow {author['username']}",
        Call("POST", "/follows", {"followed_id": author["id"]}, token),
        201,
    )
    profile = way.step(
        f"{author['username']}'s profile",
        Call("GET", f"/users?username=eq.{author['username']}"),
        200,
    )
    way.must(profile[0]["followers_count"] >= 1, "at least one follower")
    return author


def _company(way: Tour) -> dict[str, Any]:
    """Where nobody else has posted yet, a second user does."""
    credentials = {
        "username": f"tour_{secrets.token_hex(4)}",
        "password": secrets.token_urlsafe(12),
    }
    friend = way.step(
        "Nobody else is here: a second user signs up", Call("POST", "/rpc/signup", credentials), 201
    )
    call = Call(
        "POST", "/posts", {"content": "Am I alone?"}, friend["token"], "return=representation"
    )
    way.console.print(Text(f"TOKEN={friend['token']}", style="cyan"))
    post: dict[str, Any] = way.step("... and posts", call, 201)[0]
    return {**post, "author": friend["user"]}


def _read(way: Tour, token: str, me: int, author: dict[str, Any], post_id: int) -> None:
    """Read the four feeds and, following the cursor, a second page."""
    page = way.answer(
        "The timeline, two posts a page",
        Call("GET", "/rpc/feed_timeline?limit=2", token=token),
        200,
    )
    way.must(len(page.body) == 2 and "x-next-cursor" in page.headers, "two posts and a cursor")
    cursor = page.headers["x-next-cursor"]
    second = way.step(
        "The second page, by the cursor of the first",
        Call("GET", f"/rpc/feed_timeline?limit=2&cursor={cursor}", token=token),
        200,
    )
    way.must(bool(second) and second[0]["id"] < int(cursor), "older posts on the second page")
    following = way.step(
        "Only those one follows", Call("GET", "/rpc/feed_following", token=token), 200
    )
    way.must(
        bool(following) and all(p["author"]["id"] == author["id"] for p in following),
        f"posts of {author['username']} alone",
    )
    mine = way.step("One's own, replies included", Call("GET", "/rpc/feed_mine", token=token), 200)
    way.must(len(mine) == 3 and mine[-1]["id"] == post_id, "two posts and a reply")
    public = way.step("Everybody's", Call("GET", "/rpc/feed_public?limit=2"), 200)
    way.must(len(public) == 2, "a page of two")
    followed = way.step("Whom one follows", Call("GET", f"/rpc/following?user_id={me}"), 200)
    way.must([user["id"] for user in followed] == [author["id"]], author["username"])


def _leave(way: Tour, token: str, author: dict[str, Any], post_id: int) -> None:
    """Unfollow, delete, log out; each is visible at once."""
    way.step(
        f"Unfollow {author['username']}",
        Call("DELETE", f"/follows?followed_id=eq.{author['id']}", token=token),
        204,
    )
    following = way.step(
        "Nothing of theirs is left", Call("GET", "/rpc/feed_following", token=token), 200
    )
    way.must(following == [], "an empty page")
    way.step("Delete a post", Call("DELETE", f"/posts?id=eq.{post_id}", token=token), 204)
    mine = way.step("It is gone", Call("GET", "/rpc/feed_mine", token=token), 200)
    way.must(post_id not in [post["id"] for post in mine], "the deleted post gone")
    way.step("Log out", Call("POST", "/rpc/logout", {}, token), 204)
    refused = way.step(
        "The token is dead at once", Call("GET", "/rpc/feed_timeline", token=token), 401
    )
    way.must(refused["code"] == "session_ended", "the code session_ended")
