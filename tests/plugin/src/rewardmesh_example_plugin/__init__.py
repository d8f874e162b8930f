"""A plugin: rewards from another distribution."""
