"""The states of campaigns, lists of recipients and prints, and which move of a campaign leads where."""

from enum import StrEnum


class CampaignStatus(StrEnum):
    """The status of a campaign."""

    DRAFT = "draft"  # has no recipients yet
    VALIDATING = "validating"  # takes a list of recipients in, row by row
    READY = "ready"  # every row that stayed can be printed; may be proofed and approved
    PROOFING = "proofing"  # prints some rows to look at
    APPROVED = "approved"  # somebody has named the digest of what is to be printed; waits for its start
    RUNNING = "running"
    PAUSED = "paused"  # its owner had it stop; what was in hand was finished
    HELD = "held"  # stopped by itself: the next print would not fit the budget, or the model has changed
    COMPLETED = "completed"  # every print of every approved row has come to an end
    CANCELED = "canceled"
    EXPIRED = "expired"  # its deadline passed first

    @property
    def is_over(self) -> bool:
        """Return whether nothing is printed any more, unless its owner appends rows or asks for another try."""
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
    """What a list of recipients is good for."""

    LOADING = "loading"  # being read; nobody looks at its rows
    CURRENT = "current"  # its rows belong to the campaign
    DROPPED = "dropped"  # broken off, or replaced by another; the clerk deletes its rows


class PrintStatus(StrEnum):
    """What became of one picture for one recipient."""

    WAITING = "waiting"  # wanted, and no job is at it
    ORDERED = "ordered"  # a job is at it
    PRINTED = "printed"
    BLOCKED = "blocked"  # the safety check refused it, and every other roll of it
    FAILED = "failed"
    CANCELED = "canceled"
    ERASED = "erased"  # its recipient was erased

    @property
    def is_over(self) -> bool:
        """Return whether nothing more happens to it by itself."""
        return self not in (PrintStatus.WAITING, PrintStatus.ORDERED)
