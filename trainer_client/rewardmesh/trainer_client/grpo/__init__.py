"""The arithmetic of GRPO: pure functions of tensors."""
