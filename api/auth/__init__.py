"""Authentication: API keys, their scopes and the endpoints that manage them."""
