"""Campaigns: the ``/v1/campaigns`` endpoints for recipients, proofs, runs and results."""
