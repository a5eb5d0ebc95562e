"""Lists what reads text that users send: every regular expression, with how it is applied, and every parser."""

import ast
import functools
import importlib
import io
import itertools
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from api.runtime.cursors import Cursors
from api.runtime.event_ids import parse_event_id
from api.runtime.long_poll import parse_preference
from api.web.strict_json import parse_json_object
from common.campaigns.csv_injection import defuse_cell, restore_cell
from common.campaigns.placeholders import spell_placeholder
from common.campaigns.queries import normalise_recipient_id
from common.campaigns.recipients.formats.csv_rows import CsvSheet
from common.campaigns.recipients.formats.headings import name_columns
from common.campaigns.recipients.formats.json_rows import JsonLinesSheet, JsonSheet
from common.campaigns.recipients.formats.xlsx.date_formats import format_date
from common.campaigns.recipients.formats.xlsx.number_formats import format_number
from common.campaigns.results.archive import FileNames, sanitise_name
from common.campaigns.results.public_links import LinkToken
from common.campaigns.templates import CompiledTemplate
from common.db.ids import parse_id
from common.images.provenance import build_xmp_packet, parse_job_urn
from common.jobs.idempotency import parse_idempotency_key
from common.jobs.prompt_text import clean_text, is_blank
from common.models.lora_layers import read_layers
from common.safety.prompt_rules import PromptRules
from common.safety.text_folding import fold_text
from common.storage.keys import parse_image_key
from common.storage.links import LinkSigner
from common.webhooks.signing_secrets import parse_secret
from common.webhooks.transport import redact_text
from common.webhooks.urls import parse_url

ROOT = Path(__file__).resolve().parents[2]
READ_BY_OPERATORS = (
    "api/gunicorn_conf.py",
    "api/wsgi.py",
    "api/console/static/",
    "common/cli/",
    "common/launcher/",
    "common/settings/",
    "common/failpoints.py",
)
"""Where no user's text comes: the operator's own words, and what runs on the user's machine."""

RULES = PromptRules.open(None)
NOON = datetime(2026, 5, 1, 12)  # noqa: DTZ001  (a workbook's)
SECRET = b"0123456789abcdef"


def _read_sheet(kind: type[CsvSheet] | type[JsonLinesSheet] | type[JsonSheet], text: str) -> None:
    for _ in kind(io.BytesIO(text.encode())):
        pass


PARSERS: dict[str, Callable[[str], object]] = {
    "json": lambda text: parse_json_object(text.encode()),
    "json of a string": lambda text: parse_json_object(b'{"a": "' + text.encode() + b'"}'),
    "template": CompiledTemplate,
    "tag": lambda text: CompiledTemplate("{{ " + text + " }}"),
    "condition": lambda text: CompiledTemplate("{% if " + text + " %}{% endif %}"),
    "date of a template": lambda text: CompiledTemplate("{{ a | date: '%Y' }}").render({"a": text}),
    "pattern of a date": lambda text: CompiledTemplate("{{ '2026-05-01' | date: a }}").render({"a": text}),
    "number of a template": lambda text: CompiledTemplate("{{ a | number: 2 }}").render({"a": text}),
    "parts of a template": lambda text: CompiledTemplate("{{ a | split: 'a' | join: 'aa' }}").render({"a": text}),
    "rules of a template": RULES.judge_template,
    "rules of a prompt": RULES.judge,
    "folding": fold_text,
    "prompt": clean_text,
    "blank": is_blank,
    "recipient id": normalise_recipient_id,
    "csv": functools.partial(_read_sheet, CsvSheet),
    "csv rows": lambda text: _read_sheet(CsvSheet, "a,b\n" + text),
    "json lines": functools.partial(_read_sheet, JsonLinesSheet),
    "json rows": lambda text: _read_sheet(JsonSheet, '[{"a": "' + text),
    "heading": lambda text: name_columns([text, text]),
    "placeholder": spell_placeholder,
    "number format": lambda text: format_number(Decimal(1), text),
    "date format": lambda text: format_date(NOON, text),
    "formula": defuse_cell,
    "escaped formula": restore_cell,
    "file name": sanitise_name,
    "file name pattern": FileNames,
    "public link": LinkToken.parse,
    "link": LinkSigner(SECRET, "").read,
    "cursor": lambda text: Cursors(SECRET).read("ada", text),
    "event id": parse_event_id,
    "preference": parse_preference,
    "id": parse_id,
    "job urn": parse_job_urn,
    "xmp": lambda text: build_xmp_packet(model=text),
    "idempotency key": parse_idempotency_key,
    "url": parse_url,
    "host": lambda text: parse_url(f"https://{text}/"),
    "secret": parse_secret,
    "receiver's text": lambda text: redact_text(text.encode()),
    "storage key": parse_image_key,
    "adapter's tensor": lambda text: read_layers({text: (1, 1)}),
}
"""Parsers of users' text by name. A refusal is an answer too."""

NOT_USERS = "reads only what this service or its operator has written"
BOUNDED = "the text is at most 200 characters long, or 4,300 digits"
SANDBOXED = "runs in a process of its own with a limit of time"

MODULES_THAT_PARSE: dict[str, str] = {
    "api/console/access.py": BOUNDED,  # a header, bounded by the server
    "api/console/query_params.py": BOUNDED,
    "api/console/session.py": "link",  # the same serializer
    "api/console/setup.py": NOT_USERS,
    "api/images/inspect_subprocess.py": SANDBOXED,
    "api/images/uploads.py": NOT_USERS,
    "api/runtime/context.py": NOT_USERS,
    "api/runtime/cursors.py": "cursor",
    "api/web/field_synonyms.py": BOUNDED,
    "api/web/strict_json.py": "json",
    "api/web/validation.py": BOUNDED,
    "api/webhooks/changes.py": BOUNDED,  # a URL that was checked when it was registered
    "api/webhooks/serializers.py": NOT_USERS,
    "common/campaigns/recipients/formats/csv_rows.py": "csv",
    "common/campaigns/recipients/formats/json_rows.py": "json rows",
    "common/campaigns/recipients/formats/xlsx/cells.py": SANDBOXED,  # a date that the subprocess wrote
    "common/campaigns/recipients/formats/xlsx/sheet.py": SANDBOXED,
    "common/campaigns/recipients/importing.py": BOUNDED,  # names of columns
    "common/campaigns/templates.py": "template",
    "common/images/served_files.py": NOT_USERS,
    "common/jobs/celery_message.py": NOT_USERS,
    "common/models/adapters.py": NOT_USERS,
    "common/models/catalog.py": NOT_USERS,
    "common/models/files.py": NOT_USERS,
    "common/models/names.py": NOT_USERS,
    "common/models/safetensors_file.py": NOT_USERS,
    "common/safety/prompt_rules.py": NOT_USERS,
    "common/safety/text_normalization.py": "folding",
    "common/storage/__init__.py": NOT_USERS,
    "common/storage/links.py": "link",
    "common/webhooks/signing_secrets.py": "secret",
    "common/webhooks/ssrf_guard.py": NOT_USERS,
}
"""Which parser of ``PARSERS`` stands for each module that parses text, or why none has to."""

PARSING = frozenset(
    {
        *("JSONDecoder", "b64decode", "from_string", "fromisoformat", "get_close_matches", "loads", "raw_decode"),
        *("reader", "strptime", "urlsafe_b64decode", "urlsplit", "validate_json", "literal_eval", "fromstring"),
    }
)
"""Functions that parse a text or compare it with others."""


@functools.cache
def _parse_sources() -> dict[str, ast.Module]:
    paths = (path for top in ("api", "common") for path in (ROOT / top).rglob("*.py"))
    named = ((path.relative_to(ROOT).as_posix(), path) for path in sorted(paths))
    return {name: ast.parse(path.read_text()) for name, path in named if not name.startswith(READ_BY_OPERATORS)}


def _list_calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what is called, as the name before the last dot, if there is one, and the name after it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                yield getattr(function.value, "id", getattr(function.value, "attr", "")), function.attr
            elif isinstance(function, ast.Name):
                yield "", function.id


def list_parsing_modules() -> set[str]:
    """Return the modules that call a function of ``PARSING``, or normalize Unicode."""
    return {
        name
        for name, tree in _parse_sources().items()
        for before, function in _list_calls(tree)
        if function in PARSING or (before, function) == ("unicodedata", "normalize")
    }


def list_inline_expressions() -> list[str]:
    """Return the modules that use a regular expression which is not compiled and named at their top level."""
    found = []
    for name, tree in _parse_sources().items():
        named = sum(("re", "compile") in _list_calls(node) for node in tree.body if isinstance(node, ast.Assign))
        used = sum(before == "re" and function != "escape" for before, function in _list_calls(tree))
        found += [name] * (used > named)
    return found


def list_expressions() -> Iterator[tuple[str, Callable[[str], object]]]:
    """Yield each regular expression of a module in each of the ways in which the code applies it."""
    used = set(itertools.chain.from_iterable(map(_list_calls, _parse_sources().values())))
    for name in _parse_sources():
        module = importlib.import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        for variable, pattern in vars(module).items():
            if not isinstance(pattern, re.Pattern) or not isinstance(pattern.pattern, str):
                continue
            for method in ("match", "fullmatch", "search", "findall", "finditer", "split", "sub"):
                if (variable, method) in used:
                    yield f"{name}: {variable}.{method}", functools.partial(_apply_pattern, pattern, method)


def _apply_pattern(pattern: re.Pattern[str], method: str, text: str) -> None:
    if method == "sub":
        pattern.sub("", text)
    elif method == "finditer":
        list(pattern.finditer(text))
    else:
        getattr(pattern, method)(text)


FAMILIES = tuple(
    dict.fromkeys(
        [
            *(
                "a",
                "A",
                "0",
                " ",
                "\t",
                "\n",
                "\r\n",
                ".",
                "-",
                "_",
                "/",
                "%",
                "=",
                "+",
                "@",
                "'",
                '"',
                ",",
                ";",
                ":",
                "|",
            ),
            *(
                "{",
                "{{",
                "{%",
                "{ ",
                "{{ ",
                "{{'",
                '{{ "',
                "{% raw %}",
                "{{a}}",
                "{{ a }}{% if a %}",
                "{{(",
                '{["',
                "}}",
            ),
            *(
                "[",
                "]",
                "(",
                "[[",
                "((",
                '["',
                "{%if a%}",
                "{{%",
                "}{",
                "\\",
                '\\"',
                "é",
                "ß",
                "\u0301\u0323",
                "\u0f73",
            ),
            *("\u200d", "\ufdfa", "a\u0301", "a.", "a ", "0.", "1e", "../", "xn--", "wait ", "wait=", "wait  =", "://"),
            *("application/+", "+json", ".lora", "._lora_linear_layer", "a,", '"a"', '""', "'\"", "%20", "owners/"),
            *(
                "sex ",
                "child ",
                "naked ",
                "[1,",
                '{"a":',
                "\u0130",
                "\U0001f600",
                "-----",
                "prk_",
                "sep=",
                "\t=",
                "; =",
            ),
            str(UUID(int=0)),
        ]
    )
)
"""What texts are made of by repetition: openers never closed, white space, digits, marks, words that begin a rule."""
