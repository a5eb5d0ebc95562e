"""What was vendored is what its manifest says, byte for byte, and carries its licence; the pages ask nobody else."""

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("api/static/vendor", "api/console/static/vendor", "tests/browser/vendor")
OWN = [*(ROOT / "api/console/templates").rglob("*.html"), *(ROOT / "api/console/static").glob("*.*")]
NAMESPACES = ("http://www.w3.org/2000/svg",)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_vendored_file_is_the_one_that_was_fetched(folder: str) -> None:
    root = ROOT / folder
    manifest = json.loads((root / "vendor.json").read_text(encoding="utf-8"))
    listed = {}
    for each in manifest:
        place = each.get("folder", f"{each['package']}@{each['version']}")
        assert each["version"] in place
        assert each["license"]
        assert "LICENSE" in each["files"], place
        listed |= {root / place / name: digest for name, digest in each["files"].items()}
    there = {path for path in root.rglob("*") if path.is_file() and path.name != "vendor.json"}
    assert there == set(listed)
    for path, digest in listed.items():
        assert digest == f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}", path


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_the_pages_refer_to_no_other_hosts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [
        url
        for url in re.findall(r"https?://[^\s\"'<)]+", text)
        if not url.startswith(("https://example.com", *NAMESPACES))
    ]
    assert found == []


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".html"], ids=lambda path: path.name)
def test_no_page_contains_inline_styles_or_scripts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son[a-z]+=\"|<style|javascript:", text)
    for script in re.findall(r"<script[^>]*>", text):
        assert " src=" in script or 'type="application/json"' in script
