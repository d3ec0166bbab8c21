"""On what a run was made, and what lessens its worth."""

from microblog.bench.report import figures, words
from microblog.bench.result import Run, Side
from microblog.bench.scale_result import Scaling

NOISY = 0.05  # of the machine used by strangers
BUSY_GENERATOR = 0.8  # of the time of each thread that the generator has
CROWDED = 1.15  # as many at once as clients, if rate and latency are right (Little's law)
FALLBACKS = 0.01  # of the answers: beyond it another way was measured than is meant
MANY = 64  # connections of a closed model, enough to use up a machine
IDLE = 0.15  # of the CPU, under so many
LATE_MS = 5.0  # of the generator's own making, 99th percentile


def facts(run: Run) -> list[tuple[str, str]]:
    """Return what somebody needs to know to repeat the run, as pairs of name and value."""
    machine, data = run.machine, run.data
    return [
        ("measured", run.at.replace("T", " ")[:16] + " UTC"),
        ("commit", run.commit + (" with changes" if run.uncommitted_changes else "")),
        ("on", f"{machine.cpu}, {machine.cores} cores, {machine.memory_mib / 1024:.0f} GiB"),
        ("system", machine.system),
        *([("data on", machine.disk)] if machine.disk else []),
        ("users", words.number(data.users)),
        ("follows", words.number(data.follows)),
        ("posts", words.number(data.posts)),
        ("rows in feeds", words.number(data.feed_entries)),
        ("database", words.size(data.bytes)),
        ("rounds", f"{run.rounds} of {words.number(run.seconds)} s, where not said otherwise"),
        ("took", f"{words.number(run.took)} s" if run.took else "–"),
        ("seed", str(run.seed)),
        *run.versions.items(),
        *run.settings.items(),
    ]


PROGRAMS = {
    "postgresql": "PostgreSQL",
    "pgbench": "pgbench",
    "postgrest": "PostgREST",
    "haproxy": "HAProxy",
    "pgbouncer": "PgBouncer",
    "redis": "Redis",
    "wrk": "wrk",
    "vegeta": "vegeta",
    "k6": "k6",
}
SET = ("shared_buffers", "max_wal_size", "fsync", "synchronous_commit", "full_page_writes")


def programs(one: Run | Scaling) -> str:
    """Return the versions and the settings that figures depend on most, those that are kept."""
    found = [
        # "15.18 (Debian 15.18-0+deb12u1)", "debian/4.1.0-3+b2"
        f"{label} {one.versions[name].split(' ')[0].removeprefix('debian/')}"
        for name, label in PROGRAMS.items()
        if one.versions.get(name, "not installed") != "not installed"
    ]
    kept = {"fsync": "on" if one.settings.get("fsync") == "True" else "off"}
    kept = kept if "fsync" in one.settings else {}
    kept |= {
        name: one.settings[f"postgresql.{name}"]
        for name in SET
        if f"postgresql.{name}" in one.settings
    }
    settings = ", ".join(f"{name} {kept[name]}" for name in SET if name in kept)
    disk = f"data on {one.machine.disk}" if one.machine.disk else ""
    said = "; ".join(filter(None, [", ".join(found), settings, disk]))
    return f"{said}." if said else ""


def warnings(run: Run) -> list[str]:
    """Return what lessens the worth of a run's figures, in sentences; of all of them first."""
    return [*of_the_run(run), *_of_sides(run)]


def of_the_run(run: Run) -> list[str]:
    """Return what lessens the worth of all of a run's figures, in sentences."""
    found = []
    if run.uncommitted_changes:
        found.append(f"The tree had changes that are not in commit {run.commit}.")
    if run.quick:
        found.append("A quick pass: short rounds, a part of the scenarios.")
    noisy = [
        (share, f"{one.name}/{side.name}")
        for one in run.scenarios
        for side in one.sides
        if (share := figures.spent(side).others) > NOISY
    ]
    if noisy:
        most, where = max(noisy)
        found.append(
            f"The machine was not quiet: others took up to {most:.0%} of its CPU ({where}). Ratios "
            "of a round still hold, absolute figures hardly."
        )
    return found


def _busy(side: Side, cores: int) -> float:
    """Return how busy the generator's threads were, from 0 to 1; a core has one at a time.

    Twip's has a process for each client, whatever the side says of threads.
    """
    able = min(side.clients if side.generator == "twip" else side.threads, cores) or 1
    return max(
        (one.cost.cpu.get("generator", 0.0) / one.seconds / able for one in side.rounds),
        default=0.0,
    )


def _of_sides(run: Run) -> list[str]:
    found = []
    for one in run.scenarios:
        for side in one.sides:
            share = _busy(side, run.machine.cores)
            if (
                share > BUSY_GENERATOR and side.generator != "figure"
            ):  # the seeder is what is measured
                found.append(
                    f"{one.name}/{side.name}: the generator's threads were busy {share:.0%} of the "
                    "time; its own limit may be what was measured."
                )
            crowd = max((each.rate * each.latency.mean / 1000 for each in side.rounds), default=0.0)
            # wrk adds to its histogram what it reckons was hidden by waiting.
            closed = side.model == "closed" and side.generator != "wrk"
            if closed and crowd > CROWDED * side.clients:
                found.append(
                    f"{one.name}/{side.name}: rate × mean latency says {words.number(crowd)} at "
                    f"once, but there were {side.clients} clients; one of the two is wrong."
                )
            idle = figures.idle_under_load(side)
            is_full = side.model == "closed" and side.clients >= MANY
            if is_full and side.generator in words.HTTP and idle > IDLE:
                found.append(
                    f"{one.name}/{side.name}: at least {idle:.0%} of the CPU was idle under "
                    f"{side.clients} connections; something other than CPU limits it."
                )
            missed = sum(each.fallbacks for each in side.rounds)
            if missed > FALLBACKS * sum(each.count for each in side.rounds):
                found.append(
                    f"{one.name}/{side.name}: {missed} pages came by way of PostgREST, because the "
                    "database gave the proxy no answer in time."
                )
            late = max((each.lateness for each in side.rounds), default=0.0)
            if late > LATE_MS:
                found.append(
                    f"{one.name}/{side.name}: the generator sent up to {words.number(late)} ms "
                    "late (p99), which the latencies contain."
                )
    return found
