"""What can be said of a config or a teacher's checkpoint before hours of work: checks, tables, one-line verdicts."""
