"""How a file of recipients was read: what was found out about it, and what was left out."""

from dataclasses import dataclass, field


@dataclass
class Reading:
    """What a reader of a file found out; complete when the file has been read to its end."""

    encoding: str | None = None
    """Of a text; None for a workbook."""
    is_guessed: bool = False
    """Whether the encoding was found out from the bytes, because the request does not name it."""
    separator: str | None = None
    """Between the cells of a CSV file."""
    sheet: str | None = None
    """The name of the workbook's sheet."""
    header_row: int | None = None
    """The line of the text, or the row of the sheet, with the headings; the first is 1."""
    hidden_rows: int = 0
    """How many of the rows the sheet does not show, because of a filter for example; they are read all the same."""
    nested_columns: list[str] = field(default_factory=list)
    """Columns in which lists or objects occur, which are left out."""
    sample: str | None = None
    """A word of a text whose encoding was guessed, by which a person sees whether the guess is right."""
