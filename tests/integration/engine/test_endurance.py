"""A hundred mixed jobs through a press with tiny models; ``tests.bench.service.endurance`` drives a thousand."""

# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import random

import pytest

# diffusers makes numpy arrays in a way that numpy means to change
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"), pytest.mark.timeout(600)]


def test_a_hundred_mixed_jobs_all_end_right_and_leave_no_thread_or_file_behind(tmp_path):
    from tests.bench.service.endurance import endure, open_press_fixture

    with open_press_fixture(tmp_path) as press_fixture:
        report = endure(press_fixture, 100, random.Random(1))
    assert not report.wrong, report.as_text()
    assert {status for (wanted, status), number in report.ended.items() if wanted == "printed"} == {"succeeded"}
    assert sum(report.ended.values()) == 100
