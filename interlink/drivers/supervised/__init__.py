"""What the drivers share whose pods are bundles under a supervisor of their own; knows neither shell hosts nor Slurm.

A driver brings its own functions for the host (create, delete, list) as host.sh; these come on top of place.sh. All
scripts are sent once per version, into the server id's own directory, as the docker driver's are.
"""
