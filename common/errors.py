"""The exception hierarchy: every expected error, each with a stable code for clients."""

from uuid import UUID


class PressroomError(Exception):
    """Base class of all expected errors; the docstring of a subclass is its default message."""

    code = "internal_error"
    retryable = False
    blames_press = False
    """Whether the press may be the cause: several jobs in a row that end so and are printed by others take it out."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(self.message)


class StandInWarning(UserWarning):
    """Warns that a stand-in replaces a real component; for tests only."""


class SettingsError(PressroomError):
    """A setting is missing, unknown or out of range."""

    code = "invalid_settings"


class IllegalTransitionError(PressroomError):
    """The current state does not allow this operation."""

    code = "invalid_state"


class JobUnreadableError(PressroomError):
    """This job was written by a newer version of Pressroom and cannot be run by this one."""

    code = "job_unreadable"

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__()


class FencedError(PressroomError):
    """This attempt no longer owns the job."""

    code = "fenced"


class QueueFullError(PressroomError):
    """Too many jobs are queued; try again when some have finished."""

    code = "queue_full"
    retryable = True


class IdempotencyKeyReusedError(PressroomError):
    """This Idempotency-Key was already used with a different request."""

    code = "idempotency_key_reused"


class IdempotencyInProgressError(PressroomError):
    """The first request with this Idempotency-Key is still in progress; try again shortly."""

    code = "idempotency_in_progress"
    retryable = True


class DatabaseUnavailableError(PressroomError):
    """The database is not available."""

    code = "database_unavailable"
    retryable = True


class SchemaError(DatabaseUnavailableError):
    """The database has no tables yet, or those of an older version; run `pressroom migrate`."""


class DatabaseBusyError(DatabaseUnavailableError):
    """The database is busy: other transactions block this one."""


class BrokerUnavailableError(PressroomError):
    """The message broker is not available; queued jobs start when it is back."""

    code = "broker_unavailable"
    retryable = True


class StorageError(PressroomError):
    """The image storage is not available or returned an error."""

    code = "storage_unavailable"
    retryable = True
    blames_press = True


class LinksUnprotectedError(StorageError):
    """The image storage answers links that Pressroom did not sign."""

    blames_press = False


class ObjectMissingError(StorageError):
    """The stored object does not exist any more."""

    code = "object_missing"
    retryable = False
    blames_press = False


class GenerationError(PressroomError):
    """The image could not be generated."""

    code = "generation_failed"


class UnforeseenError(GenerationError):
    """An unexpected error occurred while the image was generated."""

    code = "internal_error"
    retryable = True
    blames_press = True


class ModelUnavailableError(GenerationError):
    """The model cannot be loaded."""

    code = "model_unavailable"
    retryable = True
    blames_press = True


class AdapterUnavailableError(ModelUnavailableError):
    """The adapter cannot be loaded."""

    blames_press = False


class OutOfMemoryError(GenerationError):
    """The accelerator does not have enough memory for this job."""

    code = "out_of_memory"
    retryable = True
    blames_press = True


class StepTimeoutError(GenerationError):
    """A step exceeded the time limit, and its press was terminated."""

    code = "step_timeout"
    retryable = True


class WrongSizeError(GenerationError):
    """The model delivered an image of another size than was requested."""


class InvalidPictureError(GenerationError):
    """The model produced invalid numbers instead of an image."""

    code = "invalid_picture"
    retryable = True
    blames_press = True


class SafetyUnavailableError(GenerationError):
    """The safety check did not return a valid verdict, so nothing was published."""

    code = "safety_unavailable"
    retryable = True
    blames_press = True


class RerollError(GenerationError):
    """The safety check blocked every image; the job is re-rolled."""

    code = "content_blocked"


class ProvenanceUnavailableError(GenerationError):
    """The image could not be signed, so nothing was published."""

    code = "provenance_unavailable"
    retryable = True
    blames_press = True


class InputMissingError(GenerationError):
    """An input image of the job does not exist any more."""

    code = "input_missing"


class InputBlockedError(GenerationError):
    """The safety check blocked an input image of the job."""

    code = "input_blocked"


class InvalidMaskError(GenerationError):
    """The job's mask covers nothing, or everything."""

    code = "invalid_mask"


class AssetInUseError(PressroomError):
    """A queued or running job, or a campaign, uses this asset."""

    code = "asset_in_use"


class TooManyAssetsError(PressroomError):
    """Too many assets are stored; delete some, or wait until they expire."""

    code = "too_many_assets"


class InterruptedAttemptError(PressroomError):
    """The job was canceled, expired or requeued while it ran."""

    code = "interrupted"


class DrainingError(PressroomError):
    """The press is shutting down and returns its job to the queue."""

    code = "draining"
    retryable = True


class ApiUnreachableError(PressroomError):
    """The API is not available."""

    code = "api_unreachable"
    retryable = True


class ApiRefusedError(PressroomError):
    """The API rejected the request."""

    code = "api_refused"
