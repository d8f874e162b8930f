"""What a training job installs: the client and GRPO."""
