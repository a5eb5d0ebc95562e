"""The engine: requests in, pictures and the accelerator seconds they took out."""
