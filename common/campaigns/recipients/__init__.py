"""The recipients of a campaign: import, validation, listing, erasure."""
