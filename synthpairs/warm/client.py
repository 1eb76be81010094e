"""Stands in for `python -m` of a stage or its recorder: hands it over, waits for its end, and ends with its exit code.

It is run by path and without the environment's packages (`python -ISs`), so that it starts in some 30 ms. When the process that
it would hand over to is gone, or says that its code is not what the stage would load, it becomes the stage itself.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys

PLACE = "SYNTHPAIRS_WARM"  # the environment variable that says where the socket is
COLD = b"cold"  # the answer where the stage must be started as without all this


def main() -> None:
    """Hand over `-m MODULE ARGUMENTS...`, with this process's directory, environment, and standard streams."""
    if "DVC_STAGE" in os.environ:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a killed `dvc` takes its stage along
    request = {
        "module": sys.argv[2],
        "arguments": sys.argv[3:],
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "leads": os.getsid(0) == os.getpid(),  # a session of its own
    }
    payload = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ[PLACE])
        except OSError:
            _start_cold()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the stage's to answer
        socket.send_fds(server, [struct.pack("!I", len(payload))], [0, 1, 2])
        server.sendall(payload)
        code = server.makefile("rb").read()
    if code == COLD:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _start_cold()
    sys.exit(int(code) if code else "the process that runs warm stages has ended")


def _start_cold() -> None:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])


if __name__ == "__main__":
    main()
