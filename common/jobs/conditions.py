"""Conditions by the status of a job, written as those of the partial indexes.

They are literals instead of bound parameters: a plan for any status cannot use the index of one.
"""

from sqlalchemy import literal_column

from common.states.jobs import JobStatus
from common.tables import Job

_queued, _running = (literal_column(f"'{status}'") for status in (JobStatus.QUEUED, JobStatus.RUNNING))

QUEUED = Job.status == _queued
RUNNING = Job.status == _running
OPEN = Job.status.in_([_queued, _running])
