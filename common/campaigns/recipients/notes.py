"""Says in sentences how a file of recipients was read, and what to know of its prompts before they are printed."""

from collections.abc import Iterator

from common.campaigns.placeholders import spell_placeholder
from common.campaigns.recipients.formats.encodings import TITLES
from common.campaigns.recipients.formats.text_decoding import WINDOWS_1252
from common.campaigns.recipients.lists import ListContents
from common.campaigns.recipients.prompt_lengths import PromptLengths

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MOST_NAMED = 20


def describe_contents(contents: ListContents) -> Iterator[str]:
    """Yield a sentence for each choice that the reader of a file made, and for all that it left out."""
    reading = contents.reading
    if reading.is_guessed and reading.encoding not in (None, "utf-8"):
        sample = f", with words such as {reading.sample}" if reading.sample else ""
        yield f"The file was read as {reading.encoding} ({TITLES.get(reading.encoding, 'text')}){sample}."
        if reading.encoding == WINDOWS_1252:
            yield (
                "If that is not right, save the file as UTF-8, or upload it again with its encoding, such as"
                " charset=windows-1250 in its Content-Type (--charset on the command line)."
            )
    if reading.separator is not None and reading.separator != ",":
        yield f"The cells are separated by {_SEPARATORS.get(reading.separator, repr(reading.separator))}."
    if reading.header_row is not None and reading.header_row > 1:
        yield f"The headings are in row {reading.header_row}."
    if reading.hidden_rows:
        rows = "1 row that the sheet hides is" if reading.hidden_rows == 1 else f"{reading.hidden_rows} hidden rows are"
        yield f"{rows} included."
    if reading.nested_columns:
        yield f"Lists and objects were left out: {_join_names(reading.nested_columns)}."
    renamed = {column: spell_placeholder(column) for column in contents.columns}
    changed = [f"{{{{ {name} }}}} for {column}" for column, name in renamed.items() if name != column]
    if changed:
        yield f"In templates, write {_join_names(changed)}."
    if contents.columns and contents.id_column is None:
        yield "No column was chosen as the id, so each recipient's id is the row number."
    if contents.lengths is not None:
        yield from _describe_lengths(contents.lengths)


def _describe_lengths(lengths: PromptLengths) -> Iterator[str]:
    """Yield a sentence if some prompts are not read to their end, and another if none can be told apart."""
    if lengths.longer:
        rows = "1 row is" if lengths.longer == 1 else f"{lengths.longer} rows are"
        first = [f"{dropped} of row {row}" for row, dropped in lengths.first]
        named = ", ".join(first) + (", …" if lengths.longer > len(first) else "")
        yield f"The prompts of {rows} longer than the model reads. Tokens that are left out at the end: {named}."
    if lengths.are_alike:
        yield "All prompts are the same as far as the model reads them: put what differs nearer to the beginning."
    if not lengths.is_whole and (lengths.longer or lengths.are_alike):
        yield f"This was found in the first {lengths.checked} rows; those after them were not counted."


def _join_names(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
