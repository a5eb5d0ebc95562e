"""The states of a job and the moves between them."""

from common.states.jobs import JOB_TRANSITIONS, TERMINAL, ImageStatus, JobStatus, list_job_source_statuses


def test_every_state_has_its_row_in_the_table() -> None:
    assert set(JOB_TRANSITIONS) == set(JobStatus)


def test_the_four_final_states_have_no_transitions() -> None:
    assert {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED} == TERMINAL
    assert {status for status in JobStatus if status.is_terminal} == TERMINAL


def test_no_transition_leads_back_to_its_source() -> None:
    assert all(status not in targets for status, targets in JOB_TRANSITIONS.items())


def test_every_state_can_be_reached_from_queued() -> None:
    reached, frontier = {JobStatus.QUEUED}, {JobStatus.QUEUED}
    while frontier:
        frontier = {target for status in frontier for target in JOB_TRANSITIONS[status]} - reached
        reached |= frontier
    assert reached == set(JobStatus)


def test_the_sources_of_a_state_are_the_reversed_transitions() -> None:
    assert {(source, target) for target in JobStatus for source in list_job_source_statuses(target)} == {
        (source, target) for source, targets in JOB_TRANSITIONS.items() for target in targets
    }


def test_only_published_images_are_readable() -> None:
    assert {status for status in ImageStatus if status.is_readable} == {ImageStatus.DELIVERED, ImageStatus.BLURRED}
