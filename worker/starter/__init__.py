"""The starter model: a small diffusion model trained from scratch, so that the first print is a real one."""
