"""Who calls: bearer keys, their scopes, and the endpoint that makes them."""
