"""Names in an archive: each picture has one of its own, however many one pattern gives the same."""

from types import SimpleNamespace
from typing import cast

from common.campaigns.results.archive import FileNames
from common.campaigns.results.lines import Line


def line(recipient_id: str = "ann") -> Line:
    recipient = SimpleNamespace(recipient_id=recipient_id, arm="main", list_number=1, row=1)
    return cast("Line", SimpleNamespace(recipient=recipient, index=0, seed=1))


def test_ten_thousand_files_of_one_name_are_numbered() -> None:
    names, same = FileNames("card"), line()
    chosen = [names.choose(same, "png") for _ in range(10_000)]
    assert len({*chosen}) == len(chosen)
    assert (chosen[0], chosen[1], chosen[-1]) == ("card.png", "card (2).png", "card (10000).png")


def test_names_that_differ_in_case_alone_or_are_already_numbered_stay_distinct() -> None:
    names = FileNames("{recipient_id}")
    people = ("Ann", "ann", "ann (2)", "ANN (3)", "ann", "left-out")
    chosen = [names.choose(line(each), "png") for each in people]
    assert len({name.casefold() for name in chosen}) == len(people)
    assert chosen[:2] == ["Ann.png", "ann (2).png"]
