"""Curves judged by their exponents."""

from microblog.bench.fit import Fit
from microblog.bench.report import words
from microblog.bench.report.figures import Verdict
from microblog.bench.scale_result import Curve


def exponent(fit: Fit) -> str:
    """Write an exponent with its interval."""
    return f"{fit.exponent:+.2f} ({fit.low:+.2f} to {fit.high:+.2f})"


def judged(curve: Curve) -> Verdict | None:
    """Judge a curve's exponent; None where it is bounded by nothing, or has no fit."""
    fit = curve.fit()
    if fit is None or curve.at_most is None:
        return None
    return Verdict(
        f"exponent at most {curve.at_most:g}",
        exponent(fit),
        fit.exponent <= curve.at_most,
    )


def told(curve: Curve) -> str:
    """Say in a few words what a curve shows: its exponent, or where nothing bounds it, its top."""
    fit = curve.fit()
    if fit is not None and curve.at_most is not None:
        return f"{curve.unit} ~ size^e, e = {exponent(fit)}, R² {fit.r2:.2f}"
    top = max(curve.points, key=lambda point: point.middle)
    return f"most: {words.number(top.middle)} {curve.unit} at {words.number(top.x)} {curve.axis}"
