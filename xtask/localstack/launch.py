"""Runs LocalStack in this process: no container, no command line of its own, nothing outside of this machine."""

import functools
import os
import signal
import threading
import time

from twisted.internet import endpoints

# LocalStack ignores the host in GATEWAY_LISTEN and would listen on every interface.
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")


def end_with_parent():
    # Standard input is a pipe that whoever started this holds open and never writes to. Its end means that they are
    # gone, however they died.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    from localstack.runtime.main import main

    main()
