"""Kinds of models: one file each for what their pipelines do differently."""
