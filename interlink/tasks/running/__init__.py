"""What `interlink run` does between a manifest and an exit code."""
