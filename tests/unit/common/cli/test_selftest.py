"""The self-test of a press runs in another process, whose results are passed on as they come."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.cli import diagnostics, selftest
from common.cli.diagnostics import Grade
from common.cli.selftest import SelftestError, run_selftest

LONG = 600.0
PREAMBLE = """
import json, sys, time
def tell(name, ok):
    print(json.dumps({"part": "model", "name": name, "ok": ok}), flush=True)
tell("first", None)
tell("first", True)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
    """Have the self-test run some code in place of that of a press; return its environment."""

    def write(code: str) -> dict[str, str]:
        (tmp_path / "worker").mkdir()
        (tmp_path / "worker" / "__init__.py").touch()
        (tmp_path / "worker" / "selftest.py").write_text(PREAMBLE + code)
        return {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}

    monkeypatch.chdir(tmp_path)
    return write


def test_a_result_is_passed_on_before_the_next_part_is_tested(child: Callable[[str], dict[str, str]]) -> None:
    results = run_selftest(child("time.sleep(600)"), LONG)
    assert next(results)["name"] == "first"
    results.close()  # type: ignore[attr-defined]  # ends the process


def test_a_part_that_takes_too_long_is_named_and_the_results_before_it_are_kept(
    child: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "SELFTEST_SECONDS", 1)
    found = list(diagnostics._run_selftest(child('tell("second", None); time.sleep(600)')))
    assert [finding.grade for finding in found] == [Grade.SOUND, Grade.FAULT]
    assert "more than 1 s for the model second" in found[1].sentence


def test_the_limit_is_for_each_part(child: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(selftest.time, "monotonic", lambda: now[0])
    results = run_selftest(child('tell("second", None); tell("second", True)'), LONG)
    for expected in ("first", "second"):
        assert next(results)["name"] == expected
        now[0] += LONG * 0.9
    assert list(results) == []


def test_a_test_that_crashes_after_sound_results_is_a_fault(child: Callable[[str], dict[str, str]]) -> None:
    with pytest.raises(SelftestError, match=r"failed: the library is broken\."):
        list(run_selftest(child('sys.exit("the library is broken")'), LONG))


def test_a_test_with_bad_results_that_are_told_is_none(child: Callable[[str], dict[str, str]]) -> None:
    results = list(run_selftest(child('print("a library prints"); tell("second", False); sys.exit(1)'), LONG))
    assert [result["ok"] for result in results] == [True, False]
