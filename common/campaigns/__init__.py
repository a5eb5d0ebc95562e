"""Campaigns: one template, many recipients, one budget."""
