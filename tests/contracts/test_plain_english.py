"""Turns of phrase that mark our early English are gone, and stay gone."""

import re

from tests.contracts.structure import ROOT

STRANGE = re.compile(r"\bis no\b|\bare no\b|of yours|besides|handed in|anew")
ENDINGS = {".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".txt"}
EXCEPTIONS: dict[str, str] = {}
"""Line → why the phrase is right there; there is none yet."""


def test_no_user_facing_text_uses_unidiomatic_phrases() -> None:
    paths = [path for top in ("api", "common", "worker", "docs") for path in (ROOT / top).rglob("*")]
    texts = [path for path in paths if path.is_file() and "vendor" not in path.parts and path.suffix in ENDINGS]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if STRANGE.search(line) and line.strip() not in EXCEPTIONS
    ]
    assert found == []
