"""The torch backend: accelerator, model loading, schedulers, adapters and optimizations."""
