"""AtomAI's published layout of a U-Net and its checkpoints in plain PyTorch, for where AtomAI is not."""
