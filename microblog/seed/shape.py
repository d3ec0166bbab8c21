"""What a seeded database is to hold: presets, and the limits of free parameters."""

from dataclasses import dataclass, replace

from microblog.errors import StackError

LARGEST_AUTHOR = 1  # id of the author with the most followers
READERS = (50, 5000)  # follows of the readers that benchmarks compare
READERS_EACH = 10
FIRST_READER = 2  # their ids: 2–11 follow 50, 12–21 follow 5,000
RESERVED = 1 + READERS_EACH * len(READERS)
DAYS = 60  # over which posts are spread
REPLY_SHARE = 0.15  # of posts
OTHERS_CAP = 0.9  # of the largest author's followers: at most this many for anybody else
BREAK_SHARE = 0.1  # of the largest author's followers: the tail is heavier beyond


@dataclass(frozen=True)
class Shape:
    """How much to make.

    ``largest``: followers of the author with the most. ``active_share``: of users, from 0 to 1,
    whose timelines are kept. The same ``seed`` and day make the same rows.
    """

    users: int
    follows: int
    posts: int
    largest: int
    active_share: float = 1.0
    seed: int = 1

    def changed(self, **parameters: int | float | None) -> "Shape":
        """Return a copy in which the parameters that are not None replace this shape's."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return replace(self, **given)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raise StackError where no graph of this shape exists, or none that is skewed."""
        mean = self.follows / max(self.users, 1)
        most = min(self.users * 0.95, self.users - 2 * RESERVED)
        problems = [
            (self.users < 100, f"{self.users:,} users; expected at least 100"),
            (self.users > 100_000_000, f"{self.users:,} users; expected at most 100,000,000"),
            (self.posts < 0, f"{self.posts:,} posts; expected 0 or more"),
            (
                not 0 <= self.active_share <= 1,
                f"an active share of {self.active_share}; expected 0 to 1",
            ),
            (self.seed < 0, f"seed {self.seed}; expected 0 or more"),
            (
                not mean * 2 <= self.largest <= most,
                f"{self.largest:,} followers of the largest author; expected at least twice the "
                f"mean ({mean * 2:,.0f}) and at most 95 % of the users ({most:,.0f})",
            ),
            (
                not self.users * 2 <= self.follows <= self.users * self.users // 8,
                f"{self.follows:,} follows; expected {self.users * 2:,} to "
                f"{self.users * self.users // 8:,}, twice the users to an eighth of all pairs",
            ),
        ]
        for wrong, message in problems:
            if wrong:
                raise StackError(message, "Nothing was loaded.")

    def readers(self) -> dict[int, range]:
        """Return the ids of readers by the exact number of authors they follow.

        A kind that would follow more than a quarter of all, or take more than a tenth of the
        follows, is left out.
        """
        return {
            degree: range(first, first + READERS_EACH)
            for number, degree in enumerate(READERS)
            for first in [FIRST_READER + number * READERS_EACH]
            if degree <= self.users // 4 and degree * READERS_EACH <= self.follows // 10
        }


PRESETS = {
    "demo": Shape(users=300, follows=6_000, posts=1_500, largest=250),
    "small": Shape(users=20_000, follows=1_000_000, posts=60_000, largest=15_000),
    "full": Shape(
        users=1_091_000,
        follows=50_368_293,
        posts=73_817,
        largest=1_026_999,
        active_share=0.3,
    ),
}
