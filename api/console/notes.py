"""The notices shown after a form; the URL names a notice and its numbers, never its text."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from werkzeug.datastructures import MultiDict

from common.errors import PressroomError

LARGEST_COUNT = 10_000

DONE = {
    "job-canceled": "The job was canceled.",
    "job-made": "The job was accepted.",
    "key-revoked": "The key was revoked and no longer works.",
    "review-released": "The image was delivered to its owner at no charge.",
    "review-confirmed": "The block was confirmed. The image was permanently deleted.",
    "style-made": "The style was saved. Images made with earlier versions do not change.",
    "webhook-deleted": "The webhook and its deliveries were deleted.",
    "webhook-changed": "The webhook was updated.",
    "webhook-enabled": "The webhook was enabled.",
    "webhook-disabled": "The webhook was disabled. Its pending messages were canceled.",
    "webhook-tested": "A test message was queued.",
    "delivery-resent": "The message was queued again.",
    "campaign-made": "The campaign was created. Nothing is printed or charged until you approve it.",
    "campaign-deleted": "The campaign and its recipients were deleted.",
    "campaign-approved": "The campaign was approved. Start it to begin printing.",
    "campaign-started": "The campaign is running.",
    "campaign-paused": "The campaign is paused. Images in progress are finished and charged.",
    "campaign-canceled": "The campaign was canceled. Printed images are kept.",
    "campaign-retried": "The failed or blocked images are being retried.",
    "campaign-budget": "The budget was updated.",
    "recipients-taken": "All rows were accepted.",
    "recipients-taken-in-part": "Some rows were rejected. The others were added to the list.",
    "recipient-erased": "The recipient was erased from this campaign.",
    "links-made": "Public links were created for all images; see results.csv.",
    "links-revoked": "All links were revoked.",
}
"""The notices after an act that was carried out."""

NOT_DONE = {
    "job-over": "Nothing was canceled: the job had ended already.",
    "no-jobs-chosen": "Nothing was chosen. Select at least one job.",
    "no-images-chosen": "Nothing was chosen. Select at least one image.",
    "no-images-to-compare": "There is nothing to compare: the selected images no longer exist.",
    "no-images-on-sheet": "A contact sheet cannot be made: none of the selected images can be shown.",
    "key-revoked-before": "Nothing was changed: the key had been revoked already.",
    "session-ended": "Your session had ended, so nothing was changed. Sign in and send the form again.",
    "style-same": "No changes: the newest version is identical.",
    "webhook-enabled-before": "Nothing was changed: the webhook was enabled already.",
    "webhook-disabled-before": "Nothing was changed: the webhook was disabled already.",
    "delivery-on-its-way": "Nothing was changed: the message is being sent right now.",
    "campaign-canceled-before": "Nothing was changed: the campaign had been canceled already.",
    "campaign-not-retried": "Nothing was retried: no image of this campaign can be retried.",
    "links-made-before": "Nothing was changed: the images had public links already.",
    "links-revoked-before": "Nothing was changed: there were no links to revoke.",
}
"""The notices after an act that changed nothing."""


class Note(NamedTuple):
    """A notice, and whether anything was done."""

    text: str
    is_done: bool


class Reason(NamedTuple):
    """Why some of the chosen things were left alone, for one of them and for several."""

    one: str
    many: str


class BulkNote(NamedTuple):
    """What a notice says about an act on several things: their name, the act, and why some were left alone."""

    one: str
    many: str
    act: str
    reasons: Mapping[str, Reason]
    """By the code of the error."""
    closing: str = ""
    """What is said as well if anything was done."""

    def describe(self, done: int, left: Mapping[str, int]) -> str:
        """Return the notice for *done* things and those that were *left*, counted by the code of their error."""
        chosen = done + sum(left.values())
        told = "; ".join(f"{count} {self._find_reason(code, count)}" for code, count in left.items())
        closing = f" {self.closing}" if self.closing and done else ""
        if chosen == 1 and done:
            return f"The {self.one} was {self.act}.{closing}"
        if chosen == 1:
            return f"The {self.one} was not {self.act}: it {self._find_reason(next(iter(left)), 1)}."
        if not done:
            return f"None of the {chosen} {self.many} was {self.act}: {told}."
        if not left:
            return f"All {chosen} {self.many} were {self.act}.{closing}"
        return f"{done} of {chosen} {self.many} {'was' if done == 1 else 'were'} {self.act}; {told}.{closing}"

    def _find_reason(self, code: str, count: int) -> str:
        reason = self.reasons.get(code) or _REASONS.get(code) or Reason("was refused", "were refused")
        return reason.one if count == 1 else reason.many


_REASONS = {
    "not_found": Reason("no longer exists", "no longer exist"),
    "prompt_erased": Reason("has no prompt any more", "have no prompt any more"),
    "unknown_asset": Reason("needs an image that was deleted", "need images that were deleted"),
    "unknown_model": Reason("needs a model that is not available", "need a model that is not available"),
    "model_unavailable": Reason("needs a model that is not available", "need a model that is not available"),
    "queue_full": Reason("did not fit into the queue", "did not fit into the queue"),
}

BULK_NOTES = {
    "jobs-canceled": BulkNote(
        "job", "jobs", "canceled", {"invalid_state": Reason("had ended already", "had ended already")}
    ),
    "jobs-retried": BulkNote(
        "job",
        "jobs",
        "retried",
        {"invalid_state": Reason("has not ended yet", "have not ended yet")},
        "New jobs were created.",
    ),
    "images-deleted": BulkNote(
        "image",
        "images",
        "deleted",
        {
            "invalid_state": Reason("waits for review", "wait for review"),
            "nothing_kept": Reason("had no file to delete", "had no file to delete"),
        },
        "The cost remains in the account.",
    ),
}


class BulkCount:
    """Counts on how many of the chosen things an act was carried out, and why not on the others."""

    def __init__(self) -> None:
        self._done = 0
        self._left = Counter[str]()

    def add_done(self) -> None:
        """Count a thing on which the act was carried out."""
        self._done += 1

    def add_left(self, error: PressroomError) -> None:
        """Count a thing on which it was not, because of *error*."""
        self._left[error.code] += 1

    def add_unchanged(self) -> None:
        """Count a thing of which there was nothing to delete."""
        self._left["nothing_kept"] += 1

    def to_query(self) -> dict[str, object]:
        """Return the query parameters from which ``find_note`` reads the numbers."""
        return {"done": self._done, "left": [f"{code}:{count}" for code, count in self._left.items()]}


def find_note(query: MultiDict[str, str]) -> Note | None:
    """Return the notice that the query string names; None if it names none."""
    name = query.get("note", "")
    if name not in BULK_NOTES:
        text = DONE.get(name) or NOT_DONE.get(name)
        return None if text is None else Note(text, name in DONE)
    done = _read_count(query.get("done", ""))
    left = {code: _read_count(count) for code, _, count in (each.partition(":") for each in query.getlist("left"))}
    if done is None or not done + sum(count or 0 for count in left.values()):
        return None
    return Note(BULK_NOTES[name].describe(done, {code: count for code, count in left.items() if count}), done > 0)


def _read_count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(LARGEST_COUNT)) else None
