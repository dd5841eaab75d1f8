"""What the drivers share whose pods are bundles under a supervisor of their own; knows neither shell hosts nor Slurm.

A driver brings its own functions for the host (create, delete, list); these come on top of place.sh.
"""
