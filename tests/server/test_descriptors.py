"""Out of file descriptors: new connections wait, everybody else is served, and it ends by itself."""

import os
import resource
import select

from harness import check, check_equal, encode, test


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answered(clients, seconds):
    """Those of the clients that have a reply, as soon as there is one, or after so many seconds."""
    readable = set(select.select([c.socket for c in clients], [], [], seconds)[0])
    return [c for c in clients if c.socket in readable]


@test
def out_of_descriptors(t):
    t.only_varve()
    server = t.server().start()
    served = [server.client() for _ in range(20)]
    for client in served:
        check_equal(client.ok("PING"), "PONG", "PING")
    # The limit as a system with too little would have it: two more connections fit, or a few if there are gaps.
    used = len(os.listdir(f"/proc/{server.pid}/fd"))
    hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 2, hard))
    waiting = [server.client() for _ in range(20)]
    for client in waiting:
        client.send(encode("PING"))
    while lucky := answered(waiting, 0.5):
        for client in lucky:
            check_equal(client.receive(), "PONG", "PING of a client that still fitted")
            waiting.remove(client)
            served.append(client)
    check(len(waiting) > 10, f"only {len(waiting)} of 20 clients have to wait")

    # While accepting pauses nothing spins, nobody is closed, and those who are in are served.
    before = processor_seconds(server.pid)
    check_equal(answered(waiting, 2.0), [], "clients that do not fit and hear something")
    spent = processor_seconds(server.pid) - before
    check(spent < 0.25, f"the server used {spent:.2f} s of the processor in 2 s of waiting")
    for number, client in enumerate(served):
        check_equal(client.ok("SET", f"key:{number}", number), "OK", "SET of a client that is in")
    check_equal(served[0].ok("DBSIZE"), len(served), "DBSIZE")

    # Who leaves makes room; with all gone everyone who waits comes in.
    for client in served[:3]:
        client.close()
    check(answered(waiting, 30.0), "nobody came in for those who left")
    for client in served[3:]:
        client.close()
    for client in waiting:
        check_equal(client.receive(), "PONG", "PING of a client that had to wait")
    said = [line for line in server.log().splitlines() if "can be accepted" in line]
    check_equal(len(said), 1, f"lines about it: {said}")
    check("Too many open files".lower() in said[0].lower(), said[0])
    server.stop()
