"""Curves over sizes, for the page."""

from typing import Any

from markupsafe import Markup

from microblog.bench.report import plots, words
from microblog.bench.report.figures import worst
from microblog.bench.report.judged import judged, told
from microblog.bench.scale_result import Curve


def drawn(curve: Curve) -> str:
    """Draw a curve with its fit, and beside it the growth that it is judged by."""
    fit = curve.fit()
    sizes = sorted(point.x for point in curve.points)
    fitted = [x for x in sizes if x >= curve.judged_from]
    ideal = []
    if fit and curve.at_most is not None:
        start = fit.at(fitted[0])
        ideal = [(x, start * (x / fitted[0]) ** curve.at_most) for x in fitted]
    return plots.curve(
        curve.name,
        curve.title,
        curve.axis,
        curve.unit,
        [(point.x, point.values) for point in curve.points],
        [(x, fit.at(x)) for x in fitted] if fit and curve.at_most is not None else (),
        ideal,
    )


def section(curve: Curve, measured: str) -> dict[str, Any]:
    """Return what the page's template shows of one curve; ``measured`` says when and on what."""
    verdicts = judged(curve)
    return {
        "anchor": f"scale-of-{curve.name}",
        "title": curve.title,
        "about": curve.about,
        "measured": measured,
        "mark": worst(verdicts),
        "verdicts": verdicts,
        "fit": told(curve),
        "plot": Markup(drawn(curve)),  # noqa: S704 - drawn here
        "columns": [curve.axis, curve.unit, "least", "most", ""],
        "rows": [
            [
                words.number(point.x),
                words.number(point.middle),
                words.number(min(point.values)),
                words.number(max(point.values)),
                point.note,
            ]
            for point in curve.points
        ],
        "limitations": curve.limitations,
    }
