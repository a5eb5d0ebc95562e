"""Accelerator seconds and energy: measured, and attributed to jobs."""
