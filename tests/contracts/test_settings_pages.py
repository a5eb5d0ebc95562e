"""The pages that list the settings say what the class says."""

from common.settings import reference


def test_the_settings_page_lists_every_setting_as_it_is() -> None:
    page = reference.TABLE.read_text(encoding="utf-8")
    assert reference.insert_table(page) == page, "run `python -m common.settings_reference`"


def test_the_example_env_file_lists_every_setting_as_it_is() -> None:
    found = reference.EXAMPLE.read_text(encoding="utf-8")
    assert found == reference.render_example(), "run `python -m common.settings_reference`"
