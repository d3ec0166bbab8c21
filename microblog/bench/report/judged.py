"""Curves judged by their exponents, and by whether they fall."""

from microblog.bench.fit import Fit
from microblog.bench.report import words
from microblog.bench.report.figures import Mark, Verdict, mark
from microblog.bench.scale_result import Curve


def exponent(fit: Fit) -> str:
    """Write an exponent with its interval."""
    return f"{fit.exponent:+.2f} ({fit.low:+.2f} to {fit.high:+.2f})"


def judged(curve: Curve) -> list[Verdict]:
    """Judge a curve by all that bounds it; empty where nothing does, or there is no fit."""
    return [one for one in (_by_exponent(curve), _by_peak(curve)) if one is not None]


def _by_exponent(curve: Curve) -> Verdict | None:
    fit = curve.fit()
    bounds = [
        f"{name} {bound:g}"
        for name, bound in (("at least", curve.at_least), ("at most", curve.at_most))
        if bound is not None
    ]
    if fit is None or not bounds:
        return None
    asked = f"exponent {' and '.join(bounds)}"
    if curve.judged_from:
        asked += f", from {words.number(curve.judged_from)} {curve.axis} on"
    return Verdict(asked, exponent(fit), within(fit, curve.at_least, curve.at_most))


def within(fit: Fit, at_least: float | None, at_most: float | None) -> Mark:
    """Judge an exponent by its whole interval: what the interval straddles is undecided."""
    least = float("-inf") if at_least is None else at_least
    most = float("inf") if at_most is None else at_most
    if least <= fit.low and fit.high <= most:
        return "reached"
    return "missed" if fit.high < least or fit.low > most else "undecided"


def _by_peak(curve: Curve) -> Verdict | None:
    """Judge the lowest point beyond the peak, round by round: the sizes took turns."""
    if curve.least_of_peak is None or len(curve.points) < 2:
        return None
    peak = max(curve.points, key=lambda point: point.middle)
    beyond = [point for point in curve.points if point.x > peak.x]
    asked = f"at least {curve.least_of_peak:.0%} of the peak at all larger sizes"
    if not beyond:
        return Verdict(asked, f"the peak is at {words.number(peak.x)}, the largest", "reached")
    lowest = min(beyond, key=lambda point: point.middle)
    shares = [a / b for a, b in zip(lowest.values, peak.values, strict=False) if b]
    share = lowest.middle / peak.middle
    return Verdict(
        asked,
        f"{share:.0%} ({min(shares):.0%} to {max(shares):.0%}) at {words.number(lowest.x)}",
        mark(shares, curve.least_of_peak, least=True),
    )


def told(curve: Curve) -> str:
    """Say in a few words what a curve shows: its exponent and, where nothing bounds it, its top."""
    if not curve.points:
        return "not measured"
    fit = curve.fit()
    parts = []
    if fit is not None:
        parts.append(f"{curve.unit} ~ size^e, e = {exponent(fit)}, R² {fit.r2:.2f}")
    if curve.at_most is None or fit is None:
        top = max(curve.points, key=lambda point: point.middle)
        most = f"{words.number(top.middle)} {curve.unit}"
        parts.append(f"most: {most} at {words.number(top.x)} {curve.axis}")
    return "; ".join(parts)
