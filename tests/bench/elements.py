"""What a test reads of a page in HTML."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """All elements of a page with their attributes, and all of its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        return [
            value
            for _, attributes in self.elements
            for name in names
            if (value := attributes.get(name)) is not None
        ]
