"""AI models: their cards, their files on disk, their LoRA adapters."""
