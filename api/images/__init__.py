"""Images: the ``/v1/images``, ``/v1/assets``, ``/v1/verify`` and ``/v1/quarantine`` endpoints."""
