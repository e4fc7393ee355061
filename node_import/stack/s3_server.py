"""The program behind the embedded object store: moto's S3, served with a thread a request.

The access key is taken from the environment, because other users can read a command line.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from node_import.stack.ports import LOOPBACK
from node_import.stack.s3 import ACCESS_KEY_VARIABLE
from node_import.stack.s3_disk import ObjectFolder
from node_import.stack.s3_front import Front


def main() -> None:
    """Serve until asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line a request
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    application = Front(
        DomainDispatcherApplication(create_backend_app),
        ObjectFolder(arguments.folder),
        os.environ[ACCESS_KEY_VARIABLE],
    )
    server = make_server(
        LOOPBACK,
        arguments.port,
        application,
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    server.serve_forever()


if __name__ == "__main__":
    main()
