#!/usr/bin/env python3
"""Are the command scripts' expectations Redis's own? Runs them against the machine's redis-server.

usage: tests/server/expectations.py [--build DIR] [SCRIPT...]

Not among the tests: the real server's clock goes on, and a script that is held up for seconds may see a timeout too early.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

STARTS_IN_S = 10


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    until = time.monotonic() + STARTS_IN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > until:
                sys.exit("redis-server does not start")
            time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("scripts", nargs="*")
    options = parser.parse_args()
    redis = shutil.which("redis-server")
    if redis is None:
        sys.exit("there is no redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        words = [redis, "--port", str(port), "--dir", directory, "--save", "", "--enable-debug-command", "local"]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            wait_for(port)
            scripts = os.path.join(options.build, "tests", "command_scripts")
            return subprocess.run([scripts, "--host", "127.0.0.1", "--port", str(port), *options.scripts]).returncode
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
