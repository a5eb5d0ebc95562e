"""Conditions by the status of a job, written as those of the partial indexes.

They are literals instead of bound parameters: a plan for any status cannot use the index of one.
"""

from sqlalchemy import ColumnElement, literal_column

from common.states.jobs import JobStatus
from common.tables import Job

_queued: ColumnElement[JobStatus] = literal_column(f"'{JobStatus.QUEUED}'")
_running: ColumnElement[JobStatus] = literal_column(f"'{JobStatus.RUNNING}'")

QUEUED = Job.status == _queued
RUNNING = Job.status == _running
OPEN = Job.status.in_([_queued, _running])
