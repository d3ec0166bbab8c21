"""A small town of people who follow each other and post: the same on every machine."""

import random
from dataclasses import dataclass
from datetime import timedelta

SEED = 20200101
TOP_LEVEL = 260
REPLIES = 180
PERIOD = timedelta(days=3)
NEWEST = timedelta(minutes=2)
RECIPROCITY = 0.3

NAMES = """
    ada amir anneke bao beatriz bruno chidi chloe dara dmitri edda emeka esra farid fenna gita
    goran hana henk ines ivo jamila jonas kaito keiko lale lars leila lucia maeve malik marta
    mika mina nadia nils noor odile olu oskar paloma pavel priya quentin rania rosa ruben saga
    samir sefa tam thea tomas uma vera viktor wen xenia yara zeno
""".split()  # noqa: SIM905

PLACES = (
    "the harbour",
    "the canal",
    "the old mill",
    "the market",
    "the bakery",
    "the library",
)
THINGS = (
    "bicycle",
    "sourdough",
    "radio",
    "telescope",
    "tomato plant",
    "guitar",
    "map",
    "kettle",
)
ANIMALS = ("heron", "fox", "barn owl", "hedgehog", "kingfisher", "cat from number 9")
POSTS = (
    "Saw the {animal} by {place} this morning. It did not care about me at all.",
    "Spent the whole day on the {thing}. It works again!",
    "Does anyone near {place} have a {thing} to lend until Sunday?",
    "The coffee at {place} is better when it rains.",
    "Today I learned that a {animal} can be heard from {n} metres away.",
    "{n} people came to the reading at {place}. Thank you all!",
    "Lost: one glove, grey, somewhere between {place} and home.",
    "My {thing} makes a sound that it did not make yesterday.",
    "Walked {n} kilometres, past {place} and back. Legs: gone. Mood: excellent.",
    "The {animal} is back. Windows open tonight.",
    "Free soup at {place} at six. Bring a bowl.",
    "Finished the book about the {thing}. {n} pages, no regrets.",
    "If you pass {place}, look up: somebody painted a {animal} under the bridge. 🎨",
    "Day {n} of learning the accordion. The neighbours are being very kind.",
    "Rain for {n} more days, they say. I have a {thing} and a plan.",
    "Whoever fixed the bench at {place}: you are a good person.",
    "Ça y est: the {thing} is planted, watered and talked to. 🌱",
    "Closing the shop at five today and off to {place}.",
)
ANSWERS = (
    "Same here!",
    "Which one, the old {thing}?",
    "I was at {place} too and saw nothing of it.",
    "Take mine. I never use the {thing} anyway.",
    "Thank you, this made my day.",
    "Was the {animal} there?",
    "Photos, please.",
    "On my way.",
    "{n} times I have told you.",
    "See you at {place}.",
)


@dataclass(frozen=True)
class Post:
    """What somebody wrote: author and, for a reply, its parent are positions from 0."""

    author: int
    age: timedelta
    content: str
    parent: int | None = None


@dataclass(frozen=True)
class Town:
    """Usernames; who follows whom, as positions among them; posts; replies to these posts."""

    names: list[str]
    follows: list[tuple[int, int]]
    posts: list[Post]
    replies: list[Post]


def town() -> Town:
    """Make the data set: a few are followed by nearly all, most by a handful, some not at all."""
    draw = random.Random(SEED)  # noqa: S311
    people = range(len(NAMES))
    fame = [1 / (rank + 1) ** 0.9 for rank in people]
    draw.shuffle(fame)
    follows = _follows(draw, fame)
    texts: set[str] = set()
    while len(texts) < TOP_LEVEL:
        texts.add(_text(draw, POSTS))
    authors = draw.choices(people, [f + 0.02 for f in fame], k=TOP_LEVEL)
    ages = sorted((_age(draw) for _ in range(TOP_LEVEL)), reverse=True)
    said = draw.sample(sorted(texts), TOP_LEVEL)
    posts = [Post(*parts) for parts in zip(authors, ages, said, strict=True)]
    return Town(list(NAMES), sorted(follows), posts, _replies(draw, posts, follows))


def _follows(draw: random.Random, fame: list[float]) -> set[tuple[int, int]]:
    follows: set[tuple[int, int]] = set()
    for follower in range(len(fame)):
        wanted = draw.choices(range(len(fame)), fame, k=draw.randint(2, 16))
        for followed in set(wanted) - {follower}:
            follows.add((follower, followed))
            if draw.random() < RECIPROCITY:
                follows.add((followed, follower))
    return follows


def _replies(draw: random.Random, posts: list[Post], follows: set[tuple[int, int]]) -> list[Post]:
    """Let followers answer, mostly soon after the post."""
    followers: dict[int, list[int]] = {}
    for follower, followed in sorted(follows):
        followers.setdefault(followed, []).append(follower)
    heard = [place for place, post in enumerate(posts) if post.author in followers]
    replies = []
    for parent in draw.choices(heard, k=REPLIES):
        post = posts[parent]
        delay = (post.age - NEWEST / 2) * min(0.99, draw.expovariate(20))
        author = draw.choice(followers[post.author])
        replies.append(Post(author, post.age - delay, _text(draw, ANSWERS), parent))
    return sorted(replies, key=lambda reply: -reply.age)


def _age(draw: random.Random) -> timedelta:
    return NEWEST + (PERIOD - NEWEST) * draw.random()


def _text(draw: random.Random, templates: tuple[str, ...]) -> str:
    text = draw.choice(templates).format(
        place=draw.choice(PLACES),
        thing=draw.choice(THINGS),
        animal=draw.choice(ANIMALS),
        n=draw.randint(3, 40),
    )
    return text[0].upper() + text[1:]
