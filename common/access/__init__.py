"""Access: API keys, their scopes, and the audit trail of what was done with them."""
