"""A failed fsync: nothing is acknowledged any more, the reason is told, what was durable stays readable."""

import signal
import subprocess
import time

from harness import ReplyError, Skip, check, check_equal, test


def inject_failures(t, pid):
    """strace on every thread of the process: from now on what makes bytes durable fails with EIO."""
    t.need("strace")
    out = open(t.path("strace.txt"), "ab")
    process = subprocess.Popen(["strace", "-f", "-qq", "-p", str(pid), "-e", "trace=fdatasync,fsync,pwritev2",
                                "-e", "inject=fdatasync,fsync,pwritev2:error=EIO"], stdout=out, stderr=out)
    t.processes.append(process)
    for _ in range(100):
        if process.poll() is not None:
            with open(t.path("strace.txt"), encoding="utf-8", errors="replace") as file:
                raise Skip(f"strace cannot attach: {file.read().strip()[:200]}")
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            if f"TracerPid:\t{process.pid}" in file.read():
                time.sleep(0.3)  # the other threads follow
                return process
        time.sleep(0.05)
    raise Skip("strace did not attach within 5 s")


@test
def failed_sync(t):
    t.only_varve()
    server = t.server().start()
    with server.client() as client:
        for i in range(1000):
            check_equal(client.ok("SET", f"k{i}", f"v{i}"), "OK", "SET")
    tracer = inject_failures(t, server.pid)
    with server.client() as client:
        try:
            reply = client("SET", "lost", "1")
        except (ConnectionError, OSError):
            reply = "closed"
        check(reply != "OK", "a write was acknowledged although fsync failed")
    tracer.send_signal(signal.SIGINT)  # the disk is well again; the server must not believe it
    tracer.wait(10)
    with server.client() as client:
        for i in range(0, 1000, 50):
            check_equal(client.ok("GET", f"k{i}"), f"v{i}".encode(), "GET of durable data")
        reply = client("SET", "after", "1")
        check(isinstance(reply, ReplyError), f"SET after a failed fsync: {reply}")
        told = [line for line in client.ok("INFO", "everything").decode().split("\r\n") if "fence" in line or "EIO" in line]
        check(told, "INFO does not tell of the failed fsync")
    check(any(word in server.log() for word in ("sync", "fence")), "the log does not tell of the failed fsync")
    server.kill()
    server.start()
    with server.client() as client:
        for i in range(1000):
            check_equal(client.ok("GET", f"k{i}"), f"v{i}".encode(), "GET after the restart")
        check(client.ok("EXISTS", "after") == 0, "a refused write is there")
        check_equal(client.ok("SET", "after", "1"), "OK", "SET after the restart")
    print(f"         failed_sync: SET answered {reply}; INFO says {told[0]}")
    server.stop()
