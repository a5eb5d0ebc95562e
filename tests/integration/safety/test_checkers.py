"""Further checkers: what they find, and that nothing but a whole, known, self-tested network lets a picture out."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from common.errors import PressroomError, SafetyUnavailableError, SettingsError
from common.settings import Settings
from common.states.jobs import JobStatus, Outcome, Verdict
from tests.support import factories
from tests.support.press_fixture import PressFixture
from worker.checkers.factory import open_checker
from worker.checkers.interface import Checker, Finding, Thresholds
from worker.checkers.open_nsfw import OpenNsfwChecker
from worker.checkers.scripted import ScriptedChecker
from worker.checkers.wrappers import StrictestChecker
from worker.engine.painted import paint_donkey, paint_picture
from worker.press import runner
from worker.self_test_image import DONKEY, draw_gradient, flatten_alpha

THRESHOLDS = Thresholds(0.2, 0.8)


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module of tiny networks; torch takes seconds to import, and collecting tests should not."""
    from tests.support.engine import tiny_checkers  # noqa: PLC0415

    return tiny_checkers


@pytest.fixture
def classifier(tiny: ModuleType, tmp_path: Path) -> Path:
    return tiny.save_classifier(tmp_path / "vit")


@pytest.fixture
def sd_checker(tiny: ModuleType, tmp_path: Path) -> Path:
    from worker.checkers.model_directories import CheckerDirectory  # noqa: PLC0415
    from worker.checkers.sd_checker import SdCheckerNetwork  # noqa: PLC0415

    directory = tiny.save_sd_checker(tmp_path / "blank")
    network = SdCheckerNetwork(CheckerDirectory(directory, digest=digest_of(directory)))
    network.load(tiny.torch.device("cpu"))
    refused, passed = network.prepare(paint_donkey(64, 64)), network.prepare(draw_gradient())
    return tiny.save_sd_checker(tmp_path / "sd", refused, passed)


def digest_of(directory: Path) -> str:
    from worker.checkers.model_directories import CheckerDirectory  # noqa: PLC0415

    with pytest.raises(SafetyUnavailableError, match="sha256=") as told:
        CheckerDirectory(directory).verify()
    return told.value.message.partition("sha256=")[2].rstrip(".")


def open_named(*words: str, **settings: Any) -> Checker:
    checker = open_checker(Settings(checker=words, device="cpu", **settings))
    checker.load()
    return checker


def refuse(match: str, *words: str) -> None:
    with pytest.raises(PressroomError, match=match):
        open_named(*words)


def change_weights(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_a_classifier_of_transformers_judges_by_the_labels_that_count(classifier: Path) -> None:
    digest = digest_of(classifier)
    checker = open_named(f"classifier:{classifier}?label=nsfw&sha256={digest}")
    finding = checker.check(draw_gradient())
    assert (finding.verdict, finding.checker, finding.digest) == (Verdict.PASS, "classifier:vit", digest)
    assert finding.scores.keys() == {"classifier:vit"}
    assert checker.check(draw_gradient()).scores == finding.scores
    assert finding.thresholds == {"review": 0.2, "block": 0.8}


def test_the_stable_diffusion_checker_refuses_what_comes_too_near_to_a_concept(sd_checker: Path) -> None:
    checker = open_named(f"sd_checker:{sd_checker}?sha256={digest_of(sd_checker)}")
    assert checker.check(draw_gradient()).verdict is Verdict.PASS
    with Image.open(DONKEY) as donkey:
        assert checker.check(flatten_alpha(donkey)).verdict is Verdict.BLOCK


@pytest.mark.parametrize(
    "lost", ["concept_embeds", "concept_embeds_weights", "special_care_embeds", "visual_projection.weight"]
)
def test_a_stable_diffusion_checker_that_lacks_weights_is_refused(sd_checker: Path, lost: str) -> None:
    change_weights(sd_checker, lambda weights: weights.pop(lost))
    refuse("incomplete", f"sd_checker:{sd_checker}?sha256={digest_of(sd_checker)}")


def test_a_stable_diffusion_checker_as_it_is_built_is_refused(tiny: ModuleType, sd_checker: Path) -> None:
    tiny.build_sd_checker().save_pretrained(sd_checker)
    refuse("no concepts", f"sd_checker:{sd_checker}?sha256={digest_of(sd_checker)}")


def test_a_stable_diffusion_checker_with_random_concepts_is_refused(tiny: ModuleType, tmp_path: Path) -> None:
    directory = tiny.save_sd_checker(tmp_path / "random")
    refuse("self-test", f"sd_checker:{directory}?sha256={digest_of(directory)}")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(classifier: Path, number: float) -> None:
    change_weights(classifier, lambda weights: weights["classifier.weight"].fill_(number))
    refuse("invalid value", f"classifier:{classifier}?label=nsfw&sha256={digest_of(classifier)}")


def test_a_network_that_finds_everything_or_nothing_is_refused(classifier: Path) -> None:
    for bias in ([9.0, -9.0], [-9.0, 9.0]):

        def lean(weights: dict[str, Any], bias: list[float] = bias) -> None:
            weights["classifier.weight"].zero_()
            weights["classifier.bias"].copy_(weights["classifier.bias"].new_tensor(bias))

        change_weights(classifier, lean)
        refuse("self-test", f"classifier:{classifier}?label=nsfw&sha256={digest_of(classifier)}")


def test_weights_that_were_swapped_are_refused(classifier: Path) -> None:
    trusted = digest_of(classifier)
    change_weights(classifier, lambda weights: weights["classifier.bias"].add_(0.001))
    refuse("its digest is", f"classifier:{classifier}?label=nsfw&sha256={trusted}")


def test_weights_that_can_carry_code_are_refused(classifier: Path) -> None:
    (classifier / "pytorch_model.bin").write_bytes(b"pickle")
    refuse("can contain code", f"classifier:{classifier}?label=nsfw&sha256=x")


def test_missing_or_wrong_parts_of_the_setting_are_named(classifier: Path, tmp_path: Path) -> None:
    digest = digest_of(classifier)
    refuse("normal, nsfw", f"classifier:{classifier}?sha256={digest}")
    refuse("normal, nsfw", f"classifier:{classifier}?label=porn&sha256={digest}")
    refuse("normal, nsfw", f"classifier:{classifier}?label=nsfw&label=normal&sha256={digest}")
    refuse("if you trust it", f"classifier:{classifier}?label=nsfw")
    refuse("does not exist", f"classifier:{tmp_path}/nowhere?label=nsfw")
    refuse("accepts only label", f"classifier:{classifier}?labels=nsfw")
    refuse("pressroom safety fetch", "nsfwjs")
    with pytest.raises(SettingsError, match="CHECKER"):
        Settings.from_environ({"PRESSROOM_CHECKER": "open_nsfw,nonsense"})
    with pytest.raises(SettingsError, match="must not combine"):
        Settings.from_environ({"PRESSROOM_CHECKER": "open_nsfw,none", "PRESSROOM_SAFETY_OFF_ACKNOWLEDGED": "true"})


def test_networks_run_on_their_own_thread_with_one_core(tiny: ModuleType) -> None:
    from worker.checkers.network import TorchThread  # noqa: PLC0415

    usual = tiny.torch.get_num_threads()
    assert TorchThread().run(tiny.torch.get_num_threads) == 1
    assert tiny.torch.get_num_threads() == usual


def test_of_several_checkers_the_strictest_counts_and_all_scores_stand(classifier: Path) -> None:
    word = f"classifier:{classifier}?label=nsfw&sha256={digest_of(classifier)}"
    checker = open_named("open_nsfw", word)
    with Image.open(DONKEY) as file:
        finding = checker.check(flatten_alpha(file))
    assert finding.verdict is Verdict.BLOCK
    assert finding.checker == "open_nsfw+classifier:vit"
    assert finding.scores["open_nsfw.nsfw"] > 0.8 > finding.scores["classifier:vit.classifier:vit"]
    assert open_named("open_nsfw").policy["digest"] != checker.policy["digest"]


class Broken(ScriptedChecker):
    """A checker that returns or raises the scripted result."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def check(self, picture: object) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer",
    [
        None, [], True, RuntimeError(), Finding(Verdict.PASS, {}, "x", ""),
        Finding(Verdict.PASS, {"x": math.nan}, "x", ""), Finding(Verdict.UNCHECKED, {}, "x", ""),
    ],
)  # fmt: skip
def test_f59_nothing_passes_when_one_of_two_checkers_fails(press_fixture: PressFixture, answer: object) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press(checker=StrictestChecker([ScriptedChecker(), Broken(answer)])) as press:
        runner.run_next_job(press)
    assert [attempt.outcome for attempt in press_fixture.attempts(job.id)] == [Outcome.RETRIED]
    assert [attempt.error_code for attempt in press_fixture.attempts(job.id)] == ["safety_unavailable"]
    assert all(attempt.gpu_seconds > 0 for attempt in press_fixture.attempts(job.id)), "booked as waste"
    assert list(press_fixture.storage.list_keys("")) == []


@pytest.mark.parametrize("colour", ["black", "white", "#808080"])
def test_f59_an_image_of_a_single_colour_is_never_published(press_fixture: PressFixture, colour: str) -> None:
    job = factories.submit(press_fixture.database)
    with press_fixture.press(picture=Image.new("RGB", (64, 64), colour)) as press:
        for _ in range(3):
            runner.run_next_job(press)
            factories.make_due(press_fixture.database, job.id)
    row = factories.read(press_fixture.database, job.id)
    assert (row.status, row.error_code) == (JobStatus.FAILED, "invalid_picture")
    assert all(attempt.gpu_seconds > 0 for attempt in press_fixture.attempts(job.id))
    assert list(press_fixture.storage.list_keys("")) == []
    press_fixture.check()


def test_harmless_paintings_pass_both_thresholds(classifier: Path) -> None:
    checker = OpenNsfwChecker(THRESHOLDS)
    checker.load()
    assert checker.check(paint_picture("a fox", 3, 128, 128)).verdict is Verdict.PASS
