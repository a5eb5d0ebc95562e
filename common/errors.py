"""Every error raised on purpose: one tree, each with a stable code for clients."""

from uuid import UUID


class PressroomError(Exception):
    """Something Pressroom foresaw went wrong; the docstring is the default message."""

    code = "internal_error"
    retryable = False

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(self.message)


class StandInWarning(UserWarning):
    """A stand-in does the work of a real part: right for tests, wrong for anything else."""


class SettingsError(PressroomError):
    """A setting is missing, unknown or out of range."""

    code = "invalid_settings"


class IllegalTransitionError(PressroomError):
    """The job is not in a state that allows this."""

    code = "invalid_state"


class JobUnreadableError(PressroomError):
    """This job was written by a newer version, and must be left to one."""

    code = "job_unreadable"

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__()


class FencedError(PressroomError):
    """This attempt no longer holds the job."""

    code = "fenced"


class QueueFullError(PressroomError):
    """Too many jobs are queued already; try again when some are done."""

    code = "queue_full"
    retryable = True


class IdempotencyKeyReusedError(PressroomError):
    """This Idempotency-Key was used before with a different request."""

    code = "idempotency_key_reused"


class IdempotencyInProgressError(PressroomError):
    """The first request with this Idempotency-Key is still being handled."""

    code = "idempotency_in_progress"
    retryable = True


class DatabaseUnavailableError(PressroomError):
    """The database does not answer."""

    code = "database_unavailable"
    retryable = True


class DatabaseBusyError(DatabaseUnavailableError):
    """The database answers, but other transactions are in the way of this one."""


class BrokerUnavailableError(PressroomError):
    """The message broker does not answer; queued work starts when it is back."""

    code = "broker_unavailable"
    retryable = True


class StorageError(PressroomError):
    """The image storage does not answer as it should."""

    code = "storage_unavailable"
    retryable = True


class ObjectMissingError(StorageError):
    """The stored object is gone."""

    code = "object_missing"
    retryable = False


class GenerationError(PressroomError):
    """The picture could not be made."""

    code = "generation_failed"


class ModelUnavailableError(GenerationError):
    """The model cannot be loaded."""

    code = "model_unavailable"


class OutOfMemoryError(GenerationError):
    """The accelerator's memory does not suffice for this job."""

    code = "out_of_memory"
    retryable = True


class StepTimeoutError(GenerationError):
    """A step took too long, and the press that took it was ended."""

    code = "step_timeout"
    retryable = True


class InvalidPictureError(GenerationError):
    """The model produced invalid numbers instead of an image."""

    code = "invalid_picture"
    retryable = True


class SafetyUnavailableError(GenerationError):
    """The safety check gave no valid verdict, so nothing was published."""

    code = "safety_unavailable"
    retryable = True


class RerollError(GenerationError):
    """The safety check blocked every image, and the job asks for others."""

    code = "content_blocked"


class ProvenanceUnavailableError(GenerationError):
    """The picture could not be signed as generated, so nothing was published."""

    code = "provenance_unavailable"
    retryable = True


class InputMissingError(GenerationError):
    """A picture that the job starts from is gone."""

    code = "input_missing"


class InputBlockedError(GenerationError):
    """The safety check blocked a picture that the job starts from."""

    code = "input_blocked"


class AssetInUseError(PressroomError):
    """A job that is queued or running, or a campaign, needs this picture."""

    code = "asset_in_use"


class TooManyAssetsError(PressroomError):
    """Too many pictures are kept already; delete some, or wait until they expire."""

    code = "too_many_assets"


class InterruptedAttemptError(PressroomError):
    """The job was cancelled, expired or taken away while it ran."""

    code = "interrupted"


class DrainingError(PressroomError):
    """The press is shutting down and gives its work back."""

    code = "draining"
    retryable = True


class ApiUnreachableError(PressroomError):
    """The api does not answer."""

    code = "api_unreachable"
    retryable = True


class ApiRefusedError(PressroomError):
    """The api refused the request."""

    code = "api_refused"
