"""Webhooks: the ``/v1/webhooks`` endpoints and their deliveries."""
