import math

import pytest
from PIL import Image

from common.errors import SafetyUnavailableError, StandInWarning
from common.settings import Settings
from common.states.jobs import Verdict
from worker.checkers.factory import open_checker
from worker.checkers.interface import Thresholds
from worker.checkers.open_nsfw import DIGEST, DONKEY, OpenNsfwChecker
from worker.checkers.scripted import ScriptedChecker, build_sequence_rule
from worker.engine.painted import paint_picture

THRESHOLDS = Thresholds(review=0.2, block=0.8)


@pytest.fixture(scope="module")
def checker():
    made = OpenNsfwChecker(THRESHOLDS)
    made.load()
    return made


@pytest.fixture
def donkey():
    with Image.open(DONKEY) as picture:
        yield picture


class Broken:
    """An onnxruntime session that gives the same answer to everything."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, outputs, inputs):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("score", "verdict"),
    [(0.0, Verdict.PASS), (0.199, Verdict.PASS), (0.2, Verdict.REVIEW), (0.8, Verdict.BLOCK), (1.0, Verdict.BLOCK)],
)
def test_a_score_is_judged_by_the_two_thresholds(score, verdict):
    assert THRESHOLDS.judge(score) is verdict


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -0.01, 1.01])
def test_a_score_that_is_not_a_probability_gives_no_verdict(score):
    with pytest.raises(SafetyUnavailableError):
        THRESHOLDS.judge(score)


def test_the_donkey_is_blocked_as_a_file_and_on_white(checker, donkey):
    finding = checker.check(donkey)
    assert finding.verdict is Verdict.BLOCK
    assert finding.scores["nsfw"] == pytest.approx(0.95, abs=0.02)
    flat = Image.new("RGB", donkey.size, "white")
    flat.paste(donkey, mask=donkey.getchannel("A"))
    assert checker.check(flat).scores == finding.scores


def test_painted_pictures_pass(checker):
    assert {checker.check(paint_picture("a fox", seed, 128, 128)).verdict for seed in range(5)} == {Verdict.PASS}


def test_a_finding_includes_scores_checker_digest_and_thresholds(checker):
    finding = checker.check(paint_picture("a fox", 1, 64, 64)).as_json()
    assert finding.keys() == {"verdict", "scores", "checker", "digest", "thresholds"}
    assert (finding["verdict"], finding["checker"], finding["digest"]) == ("pass", "open_nsfw", DIGEST)
    assert finding["thresholds"] == {"review": 0.2, "block": 0.8}


def test_colours_hidden_by_transparency_are_ignored(checker, donkey):
    hidden = donkey.convert("RGB").convert("RGBA")
    hidden.putalpha(0)
    white = Image.new("RGB", donkey.size, "white")
    assert checker.check(hidden).scores == checker.check(white).scores


@pytest.mark.parametrize(
    "answer",
    [
        [[[0.5, math.nan]]], [[[0.5, math.inf]]], [[[0.5, -1.0]]], [[[0.5]]], [[]], [], None, [[[0.5, None]]],
        [[[0.1, 0.2, 0.7]]], [[[0.1, 0.2], [0.1, 0.2]]], RuntimeError("broken"), MemoryError(),
    ],
)  # fmt: skip
def test_anything_but_one_score_does_not_pass(answer):
    checker = OpenNsfwChecker(THRESHOLDS)
    checker._session = Broken(answer)
    with pytest.raises(SafetyUnavailableError):
        checker.check(Image.new("RGB", (8, 8)))


def test_a_checker_that_was_not_loaded_passes_nothing():
    with pytest.raises(SafetyUnavailableError, match="not loaded"):
        OpenNsfwChecker(THRESHOLDS).check(Image.new("RGB", (8, 8)))


def test_weights_with_another_digest_are_refused(tmp_path):
    (tmp_path / "open-nsfw.onnx").write_bytes(b"something else")
    with pytest.raises(SafetyUnavailableError, match="pinned digest"):
        OpenNsfwChecker(THRESHOLDS, tmp_path / "open-nsfw.onnx").load()


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(SafetyUnavailableError, match=r"missing\.onnx"):
        OpenNsfwChecker(THRESHOLDS, tmp_path / "missing.onnx").load()


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_a_network_that_cannot_tell_the_donkey_from_a_gradient_fails_its_self_test(monkeypatch, score):
    checker = OpenNsfwChecker(THRESHOLDS)
    monkeypatch.setattr(checker, "score", lambda picture: score)
    with pytest.raises(SafetyUnavailableError, match="self-test"):
        checker.load()
    assert checker._session is None


def test_the_scripted_checker_passes_all_by_default_and_warns():
    checker = ScriptedChecker()
    with pytest.warns(StandInWarning, match="without examining"):
        checker.load()
    assert checker.check(Image.new("RGB", (8, 8))).verdict is Verdict.PASS


def test_the_scripted_checker_returns_its_script(donkey):
    in_order = ScriptedChecker(build_sequence_rule(Verdict.BLOCK, Verdict.REVIEW))
    assert [in_order.check(donkey).verdict for _ in range(3)] == [Verdict.BLOCK, Verdict.REVIEW, Verdict.PASS]
    by_width = ScriptedChecker(lambda picture: Verdict.BLOCK if picture.width > 100 else Verdict.PASS)
    assert by_width.check(donkey).verdict is Verdict.BLOCK


def test_the_setting_chooses_the_checker_and_its_thresholds():
    assert isinstance(open_checker(Settings(checker="scripted", models=("painted",))), ScriptedChecker)
    chosen = open_checker(Settings(safety_review_above=0.1, safety_block_above=0.3))
    assert chosen._thresholds == Thresholds(0.1, 0.3)
