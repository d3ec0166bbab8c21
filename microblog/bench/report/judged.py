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
        f"grows at most with {curve.axis}^{words.number(curve.at_most)}",
        exponent(fit),
        fit.exponent <= curve.at_most,
    )
