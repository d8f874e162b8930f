"""How the tasks of a mixed run help and hinder each other: measures, warnings, and the report."""
