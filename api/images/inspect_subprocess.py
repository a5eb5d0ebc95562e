"""Inspect an image from standard input: print its fingerprint and C2PA manifest as JSON.

A separate program for the same reasons as ``api.images.sanitize_subprocess``, whose refusals it shares:
manifests are untrusted and parsed by native code. It makes no network requests, so a remote manifest counts as absent.
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from api.images.sanitize_subprocess import FORMATS, redraw_pixels, transform_stdin
from common.images.perceptual_hash import compute_fingerprint
from common.images.provenance import DIGITAL_SOURCE_TYPE

TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp"}
TYPES |= {"HEIF": "image/heic", "AVIF": "image/avif"}
ABSENT, UNREADABLE = "absent", "unreadable"
MOST_FAULTS = 10
LONGEST_NAME = 200
SIGNED_BY_US = {"signingCredential.trusted", "claimSignature.validated"}
"""The checks that show a manifest is ours, even if the image was changed since (C2PA 2.2, section 15.2.2)."""


def main(pixels: int, anchors: Path) -> None:
    """Inspect one image, trusting the certificates in *anchors*."""
    trusted = anchors.read_text() if anchors.exists() else ""

    def answer(data: bytes) -> bytes:
        seen = compute_fingerprint(redraw_pixels(data))
        told = {"shape": seen.shape, "look": seen.look.hex(), "manifest": _read_manifest(data, trusted)}
        return json.dumps(told).encode()

    transform_stdin(answer, pixels)


def _read_manifest(data: bytes, trusted: str) -> dict[str, Any]:
    try:
        import c2pa  # noqa: PLC0415  (an extra)
    except ImportError:
        return {"state": UNREADABLE}
    options: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    if trusted:
        options["trust"] = {"trust_anchors": trusted}
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        content_type = TYPES[picture.format or ""]
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(options))
        reader = c2pa.Reader(content_type, io.BytesIO(data), context=context)
        return _describe_manifest(json.loads(reader.json()), is_ours_known=bool(trusted))
    except c2pa.C2paError.ManifestNotFound:
        return {"state": ABSENT}
    except (c2pa.C2paError, ValueError, TypeError, AttributeError):  # the last three: JSON of another shape
        return {"state": UNREADABLE}


def _describe_manifest(told: dict[str, Any], *, is_ours_known: bool) -> dict[str, Any]:
    manifest = told.get("manifests", {}).get(told.get("active_manifest"), {})
    results = told.get("validation_results", {}).get("activeManifest", {})
    proved = {found["code"] for found in results.get("success", [])}
    actions = list(_iter_actions(manifest))
    return {
        "state": told.get("validation_state", "Invalid").lower(),
        "signed_by": str(manifest.get("signature_info", {}).get("issuer") or "")[:LONGEST_NAME] or None,
        "is_ours": is_ours_known and proved >= SIGNED_BY_US,
        "is_generated": any(action.get("digitalSourceType") == DIGITAL_SOURCE_TYPE for action in actions),
        "job": next((job for action in actions if (job := action.get("parameters", {}).get("pressroom.job"))), None),
        "faults": sorted({found["code"] for found in results.get("failure", [])})[:MOST_FAULTS],
    }


def _iter_actions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in manifest.get("assertions", []):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from assertion.get("data", {}).get("actions", [])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
