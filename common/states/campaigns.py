"""The states of campaigns, lists of recipients and prints, and the transitions of campaigns."""

from enum import StrEnum


class CampaignStatus(StrEnum):
    """The status of a campaign."""

    DRAFT = "draft"  # has no recipients yet
    VALIDATING = "validating"  # a list of recipients is being imported
    READY = "ready"  # every accepted row can be printed; may be proofed and approved
    PROOFING = "proofing"  # some rows are being printed for review
    APPROVED = "approved"  # confirmed by its digest; waits for its start
    RUNNING = "running"
    PAUSED = "paused"  # by its owner; running jobs are finished
    HELD = "held"  # stopped by itself: the next print would not fit the budget, or the model has changed
    COMPLETED = "completed"  # every print of every approved row has ended
    CANCELED = "canceled"
    EXPIRED = "expired"  # its deadline passed first

    @property
    def is_over(self) -> bool:
        """Return whether nothing more is printed, unless its owner appends rows or retries prints."""
        return self in (CampaignStatus.COMPLETED, CampaignStatus.CANCELED, CampaignStatus.EXPIRED)


_S = CampaignStatus

CAMPAIGN_TRANSITIONS: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    _S.DRAFT: frozenset({_S.VALIDATING, _S.CANCELED}),
    _S.VALIDATING: frozenset({_S.DRAFT, _S.READY, _S.CANCELED}),
    _S.READY: frozenset({_S.VALIDATING, _S.PROOFING, _S.APPROVED, _S.CANCELED, _S.EXPIRED}),
    _S.PROOFING: frozenset({_S.READY, _S.CANCELED, _S.EXPIRED}),
    _S.APPROVED: frozenset({_S.READY, _S.RUNNING, _S.CANCELED, _S.EXPIRED}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.HELD, _S.COMPLETED, _S.CANCELED, _S.EXPIRED}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.CANCELED, _S.EXPIRED}),
    _S.HELD: frozenset({_S.RUNNING, _S.PAUSED, _S.CANCELED, _S.EXPIRED}),
    _S.COMPLETED: frozenset({_S.RUNNING}),
    _S.CANCELED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""Every move a campaign may make; ``common.campaigns.status`` is the only module that makes them."""


def list_campaign_source_statuses(target: CampaignStatus) -> frozenset[CampaignStatus]:
    """Return the states from which *target* can be reached in one move."""
    return frozenset(source for source, targets in CAMPAIGN_TRANSITIONS.items() if target in targets)


class ListStatus(StrEnum):
    """The status of a list of recipients."""

    LOADING = "loading"  # being imported; its rows are not used yet
    CURRENT = "current"  # its rows belong to the campaign
    DROPPED = "dropped"  # import abandoned, or replaced by another list; the clerk deletes its rows


class PrintStatus(StrEnum):
    """The status of one image for one recipient."""

    WAITING = "waiting"  # has no job yet, or needs another one
    ORDERED = "ordered"  # has an open job
    PRINTED = "printed"
    BLOCKED = "blocked"  # the safety check blocked it, and every reroll
    FAILED = "failed"
    CANCELED = "canceled"
    ERASED = "erased"  # its recipient was erased

    @property
    def is_over(self) -> bool:
        """Return whether the print has ended; only a retry or an erasure changes it."""
        return self not in (PrintStatus.WAITING, PrintStatus.ORDERED)
