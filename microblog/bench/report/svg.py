"""Matplotlib figures as SVG that takes its colours and its font from the page around it.

A plot is drawn with stand-in colours, each of which becomes a CSS variable of the page, so that one
drawing serves light and dark. Points may carry a note, which browsers show without any script.
"""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, GOOD, BAD = "#010001", "#010002", "#010003", "#010004", "#010005"
SERIES = tuple(f"#0200{n:02x}" for n in range(1, 7))
FLOOR = "#020020"
PARTS = tuple(f"#0300{n:02x}" for n in range(1, 9))
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    GOOD: "good",
    BAD: "bad",
    FLOOR: "floor",
    **{colour: f"s{n}" for n, colour in enumerate(SERIES, 1)},
    **{colour: f"part{n}" for n, colour in enumerate(PARTS, 1)},
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "microblog",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


class Drawing:
    """One plot: ``axes`` is drawn on, ``svg`` is what comes out. Sizes are in inches of 72 px."""

    def __init__(self, name: str, label: str, width: float = 5.2, height: float = 2.7) -> None:
        self.name = re.sub(r"\W+", "-", name)
        self.label = label
        self.notes: list[str] = []
        with matplotlib.rc_context(_STYLE):
            self.figure = Figure(figsize=(width, height), layout="constrained")
            self.figure.patch.set_alpha(0)
            self.axes: Axes = self.figure.add_subplot()
            self.axes.patch.set_alpha(0)

    def note(self, artists: Artist | Sequence[Artist], text: str) -> None:
        """Let these artists say ``text`` to whom points at them."""
        for artist in [artists] if isinstance(artists, Artist) else artists:
            artist.set_gid(f"note{len(self.notes)}")
            self.notes.append(text)

    def file(self, css: str) -> str:
        """Return the drawing as a file of its own, with the first colours of a page's ``css``.

        On paper of the same page, so that it can be read on any ground.
        """
        values = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]+);", css)[::-1])
        text = re.sub(r"var\(--([a-z0-9-]+)\)", lambda name: values[name.group(1)], self.svg())
        ground = f'<rect width="100%" height="100%" fill="{values["paper"]}"/>'
        text = text.replace(
            "<svg ",
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
            ' font-family="DejaVu Sans, Verdana, sans-serif" ',
            1,
        )
        return text.replace(">", ">" + ground, 1) + "\n"

    def svg(self) -> str:
        """Return the drawing as an ``<svg>`` element for an HTML page."""
        out = StringIO()
        with matplotlib.rc_context(_STYLE):
            self.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        text = out.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        for number, note in enumerate(self.notes):
            text = text.replace(
                f'<g id="note{number}">', f'<g class="note"><title>{escape(note)}</title>'
            )
        text = re.sub(r"#0[123]00[0-9a-f]{2}", _variable, text)
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(href="#|url\(#)', rf"\g<1>{self.name}-", text)
        text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
        view = re.search(r'viewBox="[^"]*"', text)
        head = f'<svg {view.group(0) if view else ""} role="img" aria-label="{escape(self.label)}">'
        text = re.sub(r"^<svg[^>]*>", head, text, count=1)
        return text.replace("xlink:href", "href")


def css_variable(colour: str) -> str:
    """Return what a stand-in colour is in the page."""
    return f"var(--{_VARIABLES[colour]})"


def _variable(found: re.Match[str]) -> str:
    return css_variable(found.group(0))
