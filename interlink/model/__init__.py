"""The nouns: quantities, pods, statuses, hosts, the Driver protocol. Standard library only, no I/O."""
