"""The way to a host: the Connection protocol, by subprocess and by SSH. Knows nothing of pods.

From the top::

    pool            one connection per host; local or SSH by its variables
     └── executor   run and stream: the crowd in front of one host
          ├── shells   persistent shells that `run` shares       ├── stream
          ├── dialling pacing, credentials, from a route to ...
          └── link     one open connection: its guardian, its keeper, its sessions
               ├── remoteshell, frames   requests and answers on one channel
               ├── guardian(.sh)         what ends remote processes, on the host
               └── opening, proxy, local the connection itself; route, hostkeys, trust
"""

import logging

# A library is silent unless the application asks; paramiko's own tracebacks would reach stderr otherwise.
logging.getLogger("interlink.paramiko").addHandler(logging.NullHandler())
