"""What a page may say first, after a form has led to it; the address carries the name alone, never a text."""

NOTES = {
    "job-canceled": "The job was canceled.",
    "jobs-canceled": "The jobs were canceled; those that had ended were left as they were.",
    "jobs-retried": "New jobs were made from those that could be tried again.",
    "job-made": "The job was accepted.",
    "key-revoked": "The key was revoked; nothing can be done with it any more.",
    "none-chosen": "Choose some prints first, by the box in their corner.",
    "images-deleted": "The prints were deleted, but for those that wait for a reviewer. Their cost stays on the books.",
    "webhook-deleted": "The webhook was deleted, and with it its deliveries.",
    "webhook-changed": "The webhook was changed.",
    "webhook-tested": "A test message is on its way.",
    "delivery-resent": "The message is being sent again.",
}
