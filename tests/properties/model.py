"""The microblog as its definition says it, in memory and without any cleverness.

timeline(u) = top-level posts whose author is u or is followed by u, newest id first;
mine = u's own posts, replies included; following = the timeline without u's own;
public = all top-level posts. A reply stays a reply when its parent is gone.
"""

from dataclasses import dataclass, field
from typing import Any

WHITE_SPACE = " \t\u00a0\u2003\u3000"  # what the machine's contents may begin and end with
FEEDS = ("feed_timeline", "feed_mine", "feed_following")


@dataclass
class Person:
    """An account and whom it follows."""

    id: int
    username: str
    description: str = ""
    following: set[int] = field(default_factory=set)


@dataclass
class Post:
    """A post or a reply; ``author`` is None once the account is deleted."""

    id: int
    author: int | None
    content: str
    parent: int | None
    is_reply: bool


class Model:
    """Who there is, who follows whom, and what was posted; ids are the server's."""

    def __init__(self) -> None:
        self.people: dict[int, Person] = {}
        self.posts: dict[int, Post] = {}

    # -- what happens ----------------------------------------------------------------------------

    def join(self, user_id: int, username: str) -> None:
        """Add an account."""
        self.people[user_id] = Person(user_id, username)

    def leave(self, user_id: int) -> None:
        """Delete an account: its posts stay, without an author."""
        del self.people[user_id]
        for person in self.people.values():
            person.following.discard(user_id)
        for post in self.posts.values():
            if post.author == user_id:
                post.author = None

    def write(self, post_id: int, author: int, content: str, parent: int | None) -> None:
        """Add a post, or a reply where there is a parent."""
        self.posts[post_id] = Post(post_id, author, content, parent, parent is not None)

    def erase(self, post_id: int) -> None:
        """Delete a post: its replies stay, without a parent."""
        del self.posts[post_id]
        for post in self.posts.values():
            if post.parent == post_id:
                post.parent = None

    # -- what there is to see --------------------------------------------------------------------

    def feed(self, name: str, user_id: int | None = None) -> list[int]:
        """Return the post ids of one of the four feeds, newest first."""
        following = self.people[user_id].following if user_id is not None else set()
        shown = {
            "feed_timeline": lambda p: (
                not p.is_reply and (p.author == user_id or p.author in following)
            ),
            "feed_mine": lambda p: p.author == user_id,
            "feed_following": lambda p: not p.is_reply and p.author in following,
            "feed_public": lambda p: not p.is_reply,
        }[name]
        return sorted((p.id for p in self.posts.values() if shown(p)), reverse=True)

    def replies(self, post_id: int) -> list[int]:
        """Return the ids of the direct replies, oldest first."""
        return sorted(p.id for p in self.posts.values() if p.parent == post_id)

    def ancestors(self, post_id: int) -> list[int]:
        """Return the ids of the posts above a post, topmost first."""
        above: list[int] = []
        parent = self.posts[post_id].parent
        while parent is not None:
            above.insert(0, parent)
            parent = self.posts[parent].parent
        return above

    def following(self, user_id: int) -> list[int]:
        """Return the ids of those a user follows, in the order of the page."""
        return sorted(self.people[user_id].following)

    def followers(self, user_id: int) -> list[int]:
        """Return the ids of a user's followers, in the order of the page."""
        return sorted(p.id for p in self.people.values() if user_id in p.following)

    def card(self, post_id: int) -> dict[str, Any]:
        """Return a post as a page shows it, its time excepted."""
        post = self.posts[post_id]
        author = self.people.get(post.author) if post.author is not None else None
        return {
            "id": post.id,
            "content": post.content,
            "parent_id": post.parent,
            "replies_count": len(self.replies(post.id)),
            "author": author and {"id": author.id, "username": author.username},
        }

    def profile(self, user_id: int) -> dict[str, Any]:
        """Return a profile, its time excepted."""
        person = self.people[user_id]
        return {
            "id": person.id,
            "username": person.username,
            "description": person.description,
            "followers_count": len(self.followers(user_id)),
            "following_count": len(person.following),
            "posts_count": len(self.feed("feed_mine", user_id)),
        }
