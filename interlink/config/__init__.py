"""Settings and inventory: the only package that reads them from files and environment, and that knows YAML."""
