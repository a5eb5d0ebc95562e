"""Chooses the column of a file that holds the recipients' ids, and says which ids are the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.campaigns.placeholders import find_column
from common.errors import PressroomError

ID_COLUMN = "recipient_id"


class UnknownIdColumnError(PressroomError):
    """The file has no column of the name that was given for the id."""

    code = "unknown_id_column"


@dataclass(frozen=True)
class IdRule:
    """Which column is the id: the one *asked* for, or else the *usual* one if the file has it."""

    asked: str | None = None
    usual: str | None = ID_COLUMN
    """Of the campaign's other lists; None for a list whose rows are known by their numbers."""

    def choose_column(self, columns: Sequence[str]) -> str | None:
        """Return the id column of *columns*; None if a row is known by its number."""
        if self.asked is not None:
            return find_column(self.asked, columns)
        if self.usual is None:
            return None
        return find_column(self.usual, columns) or find_column(ID_COLUMN, columns)

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raise UnknownIdColumnError if the column that was asked for is not among *columns*."""
        if self.asked is not None and self.choose_column(columns) is None:
            named = ", ".join(columns)[:200]
            detail = f"The file has no column {self.asked[:64]!r} for the id. Its columns: {named}."
            raise UnknownIdColumnError(detail)
