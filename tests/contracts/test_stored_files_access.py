"""Stored files are read in two places: by the door through which images are served, and by a press for its own work."""

import ast

from tests.contracts import structure

READERS = {"common/images/served_files.py", "worker/press/press.py", "worker/press/storage_gate.py"}
OPENERS = {"api/wsgi.py", "common/clerk/__main__.py", "common/cli/diagnostics.py", "worker/main.py"}


def find_importers(name: str) -> set[str]:
    """Return the modules outside of ``common.storage`` that import *name* from it."""
    found = set()
    for path in structure.list_modules(*structure.PRODUCT):
        module = path.relative_to(structure.ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_storage = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("common.storage")
            if is_storage and any(alias.name == name for alias in node.names):
                found.add(module)
    return {module for module in found if not module.startswith("common/storage/")}


def test_only_the_door_and_the_press_can_read_what_is_stored() -> None:
    """All other code is given an ``ObjectStore``, which has no way to read or to link, as mypy sees to."""
    assert find_importers("Storage") == READERS


def test_storage_is_opened_by_the_entry_points_alone() -> None:
    assert find_importers("open_storage") == OPENERS
    assert find_importers("FileStorage") == {"api/wsgi.py"}
    assert find_importers("S3Storage") == set()
