"""The starter model: a small diffusion model trained from scratch, so that the first image is a real one."""
