"""A pod compiled to files and scripts. Pure: manifest in, bytes out; no I/O, no clock, no randomness."""
