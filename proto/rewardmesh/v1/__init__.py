"""Generated from reward.proto; see `make stubs`."""
