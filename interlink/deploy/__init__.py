"""From an inventory to a working system: steps that look, and mend only what differs from what is wanted.

From the top::

    hosts, server, kubelet   which steps a machine needs; what is wanted is computed by pure functions
     └── steps               what a step is, and what became of it
          └── execution      all machines at once, each step looked at, mended, looked at again
               └── recap     the outcomes, counted for people and programs
"""
