"""The accelerator that torch drives: loading, schedulers, adapters and optimizations."""
