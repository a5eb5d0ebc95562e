"""Reads the forms of a page as a browser would send them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class HtmlForm:
    """A form: where it is sent, its fields with their values, and the fields at which a fault is shown."""

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)

    def add(self, name: str, value: str) -> None:
        self.fields.setdefault(name, []).append(value)


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self._form: HtmlForm | None = None
        self._template_depth = 0
        self._area: str | None = None
        self._select: str | None = None
        self._options: list[tuple[str | None, str, bool]] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "template":
            self._template_depth += 1
        if tag == "form":
            self._form = HtmlForm(given.get("action", ""))
            self.forms.append(self._form)
        if self._form is None or self._template_depth:
            return
        name = given.get("name", "")
        if name and given.get("aria-invalid") == "true":
            self._form.faulty.add(name)
        if tag == "input" and name:
            is_box = given.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in given:
                self._form.add(name, given.get("value", "on" if is_box else ""))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((given.get("value"), "", "selected" in given))
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self._template_depth -= 1
        if self._form is None or self._template_depth:
            return
        if tag == "textarea" and self._area is not None:
            self._form.add(self._area, self._text)
            self._area = None
        elif tag == "option" and self._options:
            value, _, is_selected = self._options[-1]
            self._options[-1] = (self._text if value is None else value, "", is_selected)
        elif tag == "select" and self._select is not None:
            chosen = [value for value, _, is_selected in self._options if is_selected] or [
                value for value, _, _ in self._options[:1]
            ]
            self._form.add(self._select, chosen[-1] or "" if chosen else "")
            self._select = None
        elif tag == "form":
            self._form = None


def read_forms(html: str) -> dict[str, HtmlForm]:
    """Return the forms of a page by the path that they are sent to."""
    parser = _FormParser()
    parser.feed(html)
    return {form.action.partition("?")[0]: form for form in parser.forms}
