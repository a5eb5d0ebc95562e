"""``/v1/webhooks``: endpoints, and what was delivered to them."""
