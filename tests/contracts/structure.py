"""Counts what keeps the code easy to find one's way in: folder widths, module lengths, import cycles, function names.

Usage: ``python -m tests.contracts.structure``
"""

import ast
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("api", "common", "worker")
WIDEST_FOLDER = 20
LONGEST_MODULE = 300
MOST_MODULES = 440
"""A new feature brings its own package; no package grows without a limit: see ``WIDEST_FOLDER``."""
LARGEST_ONE_WORD_SHARE = 0.2
NOT_OURS = ("vendor", "__pycache__", "starter-1")


def list_modules(*tops: str) -> list[Path]:
    """Return the Python files below *tops*, ``__init__.py`` left out."""
    found = (path for top in tops for path in (ROOT / top).rglob("*.py"))
    return sorted(path for path in found if path.name != "__init__.py" and not _is_foreign(path))


def measure_widths(*tops: str) -> dict[str, int]:
    """Return, for each folder below *tops*, how many files and folders it has, ``__init__.py`` left out."""
    folders = [folder for top in tops for folder in (ROOT / top, *(ROOT / top).rglob("*/")) if not _is_foreign(folder)]
    return {_name(folder): sum(1 for entry in folder.iterdir() if _counts(entry)) for folder in folders}


def measure_lengths(*tops: str) -> dict[str, int]:
    """Return the number of lines of each module below *tops*."""
    return {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in list_modules(*tops)}


def find_package_cycles() -> list[list[str]]:
    """Return one cycle of imports for each package whose direct parts import each other in a circle."""
    graph = grimp.build_graph(*PRODUCT, cache_dir=None)
    imports = [(module, used) for module in graph.modules for used in graph.find_modules_directly_imported_by(module)]
    parents = {"", *(module.rpartition(".")[0] for module in graph.modules)}
    return [cycle for parent in sorted(parents) if (cycle := _find_cycle(_imports_between(parent, imports)))]


def find_file_cycles() -> list[list[str]]:
    """Return a cycle of imports between modules, if there is any."""
    graph = grimp.build_graph(*PRODUCT, cache_dir=None)
    cycle = _find_cycle({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    return [cycle] if cycle else []


def list_functions(*tops: str) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of each function at the top level of a module."""
    for path in list_modules(*tops):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                yield _name(path), node.name


def is_one_word(function: str) -> bool:
    """Tell whether a function's name is a single word, and so cannot name its object."""
    return "_" not in function.strip("_")


def _imports_between(parent: str, imports: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return which direct part of the package *parent* imports which other one; *parent* itself is none of them."""
    prefix = f"{parent}." if parent else ""
    parts: dict[str, set[str]] = {}
    for module, used in imports:
        if module.startswith(prefix) and used.startswith(prefix):
            one, other = (prefix + name.removeprefix(prefix).partition(".")[0] for name in (module, used))
            parts.setdefault(one, set()).update({other} - {one})
    return parts


def _find_cycle(edges: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _is_foreign(path: Path) -> bool:
    return any(part in NOT_OURS for part in path.relative_to(ROOT).parts)


def _counts(entry: Path) -> bool:
    return entry.name not in {"__init__.py", "__pycache__"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def main() -> None:
    """Print the figures."""
    functions = list(list_functions(*PRODUCT))
    one_word = [name for _, name in functions if is_one_word(name)]
    widths, lengths = measure_widths(*PRODUCT, "tests"), measure_lengths(*PRODUCT)
    print(f"modules: {len(lengths)} (at most {MOST_MODULES})")
    print(f"widest folder: {max(zip(widths.values(), widths, strict=True))} (at most {WIDEST_FOLDER})")
    print(f"longest module: {max(zip(lengths.values(), lengths, strict=True))} (at most {LONGEST_MODULE})")
    print(f"package cycles: {find_package_cycles()}")
    print(f"file cycles: {find_file_cycles()}")
    print(f"functions of one word: {len(one_word)} of {len(functions)}, {len(one_word) / len(functions):.1%}")


if __name__ == "__main__":
    main()
