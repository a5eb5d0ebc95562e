"""``/v1/campaigns``: campaigns, their recipients, proofs and results."""
