"""Webhooks after Standard Webhooks: what happens to a job is owed to its owner's endpoints, and delivered."""
