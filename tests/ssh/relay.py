"""A ProxyCommand: joins stdin and stdout to HOST PORT."""

import os
import socket
import sys
import threading


def main() -> None:
    target = socket.create_connection((sys.argv[1], int(sys.argv[2])))

    def inwards() -> None:
        while data := os.read(0, 65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    threading.Thread(target=inwards, daemon=True).start()
    while data := target.recv(65536):
        os.write(1, data)


main()
