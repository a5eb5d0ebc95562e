"""The commands of ``pressroom``, one module each."""
