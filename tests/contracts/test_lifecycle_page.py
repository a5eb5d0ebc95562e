"""The page on the life of a job says what the code says."""

import re
from pathlib import Path

from common.states.jobs import JOB_TRANSITIONS, Outcome

PAGE = (Path(__file__).parents[2] / "docs" / "job-lifecycle.md").read_text(encoding="utf-8")


def test_the_page_lists_exactly_the_transitions() -> None:
    table = PAGE.partition("<!-- table: begin -->")[2].partition("<!-- table: end -->")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.MULTILINE)
    listed = {source: set(re.findall(r"`(\w+)`", targets)) for source, targets in rows}
    assert listed == {str(source): {str(target) for target in targets} for source, targets in JOB_TRANSITIONS.items()}


def test_the_page_explains_every_outcome() -> None:
    explained = re.findall(r"^\| `(\w+)` \| [^`|]+ \|$", PAGE, re.MULTILINE)
    assert explained == [str(outcome) for outcome in Outcome]
