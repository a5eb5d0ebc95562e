"""The expressions in the console's pages are those that the CSP build of Alpine can evaluate.

It has a parser of its own, which knows fewer operators than a browser: no ``in``, ``typeof`` or ``new``, no arrow
functions, templates, spreads, optional chaining, ``??`` or compound assignments. What it does not know fails in the
browser only, and only on a page that shows the element.
"""

import re
from pathlib import Path

import pytest

from api import console

CONSOLE = Path(console.__file__).parent
ALPINE = re.compile(r'\s((?:x-|[:@])[a-z][\w:.-]*)="([^"]*)"')
LOOP = re.compile(r"\s*(?:\w+|\(\s*\w+\s*,\s*\w+\s*\))\s+in\s+(.+)")
TOKENS = re.compile(
    r"""\s*(?:
        (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
        | [0-9]+(?:\.[0-9]+)?
        | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'
        | === | !== | == | != | <= | >= | && | \|\| | \+\+ | --
        | [=<>!+*/%-](?![=>*]) | [()\[\]{},:;]
        | \.(?!\.) | \?(?![.?])
    )""",
    re.VERBOSE,
)
UNKNOWN_WORDS = {
    "in",
    "instanceof",
    "new",
    "typeof",
    "void",
    "delete",
    "function",
    "await",
    "async",
    "of",
    "let",
    "const",
}
VALUELESS = {"x-cloak", "x-data", "x-ref", "x-teleport"}


def find_unknown(expression: str) -> str | None:
    """Return the first part of *expression* that the CSP build of Alpine cannot parse; None if it knows all of it."""
    place = 0
    while expression[place:].strip():
        token = TOKENS.match(expression, place)
        if token is None:
            return expression[place:].strip()
        is_property = expression[:place].rstrip().endswith(".")
        if token["word"] in UNKNOWN_WORDS and not is_property:
            return token["word"]
        place = token.end()
    return None


def list_expressions(page: str) -> list[tuple[str, str]]:
    found = [(name, value) for name, value in ALPINE.findall(page) if name not in VALUELESS]
    loops = {value: match[1] for name, value in found if name == "x-for" and (match := LOOP.fullmatch(value))}
    return [(name, loops.get(value, value)) for name, value in found]


def test_every_expression_of_a_page_can_be_evaluated() -> None:
    pages = sorted((CONSOLE / "templates").rglob("*.html"))
    expressions = [(page, *each) for page in pages for each in list_expressions(page.read_text(encoding="utf-8"))]
    assert len(expressions) > 50
    assert [(str(page), name, unknown) for page, name, text in expressions if (unknown := find_unknown(text))] == []


@pytest.mark.parametrize(
    "expression",
    [
        *("each.name in fields.adapters", "() => send()", "`job ${id}`", "job?.id", "job ?? other", "count += 1"),
        *("typeof job", "new Date()", "[...names]", "a ** b", "a & b", "delete job.id", "a instanceof b", "a >>> b"),
        *("function () {}", "~a", "a |= b"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_is_found(expression: str) -> None:
    assert find_unknown(expression) is not None


@pytest.mark.parametrize(
    "expression",
    [
        *("fields.scales[each.name]", "!card.negative_prompt", "'scale:' + each.name", "name === fields.scheduler"),
        *("open = !open", "a ? b : c", "f(1, 'x')", "{ a: [1, 2.5] }", "count++", "a <= b && !c || d", "job.in"),
    ],
)
def test_an_expression_that_can_be_evaluated_is_let_pass(expression: str) -> None:
    assert find_unknown(expression) is None


def test_answers_are_read_in_one_place() -> None:
    """An answer may be a page, of a proxy for example: a script that takes it for JSON shows an error of the parser."""
    scripts = {path.name: path.read_text(encoding="utf-8") for path in (CONSOLE / "static").glob("*.js")}
    assert {name for name, text in scripts.items() if "fetch(" in text or ".json()" in text} == {"answers.js"}
    parsed = {name: re.findall(r"JSON\.parse\(([^)]*)", text) for name, text in scripts.items()}
    own = re.compile(r"document\.getElementById\(.*|place\.dataset\.series")
    assert [
        text for name, texts in parsed.items() if name != "answers.js" for text in texts if not own.fullmatch(text)
    ] == []
