"""The server over real sockets: gunicorn on a loopback port, clients that leave, signals."""
