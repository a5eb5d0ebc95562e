"""Webhooks (Standard Webhooks): events are written to an outbox and delivered to endpoints."""
