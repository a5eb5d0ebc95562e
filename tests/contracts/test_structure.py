"""The walls that keep the code easy to find one's way in."""

from tests.contracts import structure
from tests.contracts.structure import PRODUCT


def test_no_folder_has_too_many_entries() -> None:
    widths = structure.measure_widths(*PRODUCT, "tests")
    assert {folder: width for folder, width in widths.items() if width > structure.WIDEST_FOLDER} == {}


def test_no_module_has_too_many_lines() -> None:
    lengths = structure.measure_lengths(*PRODUCT)
    assert {module: length for module, length in lengths.items() if length > structure.LONGEST_MODULE} == {}
    assert len(lengths) <= structure.MOST_MODULES


def test_imports_form_no_cycle() -> None:
    assert structure.find_package_cycles() == []
    assert structure.find_file_cycles() == []


def test_most_functions_name_their_object() -> None:
    functions = list(structure.list_functions(*PRODUCT))
    one_word = sorted(f"{module}: {name}" for module, name in functions if structure.is_one_word(name))
    assert len(one_word) <= structure.LARGEST_ONE_WORD_SHARE * len(functions), one_word
