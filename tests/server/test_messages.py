"""Transactions, messages, events of keys, clients that wait: with the process, its sockets and its disk."""

import threading
import time

from harness import ReplyError, check, check_equal, encode, test


@test
def transactions_are_whole_after_a_kill(t):
    """Every EXEC counts up 50 keys; whenever the server is killed, all of them stand at the same number."""
    server = t.server().start()
    keys = [b"t%d" % i for i in range(50)]
    batch = b"".join([encode("MULTI")] + [encode("INCR", key) for key in keys] + [encode("EXEC")])
    for cycle in range(4):
        acknowledged = [0]

        def count_up():
            try:
                with server.client() as client:
                    while True:
                        client.send(batch)
                        for _ in range(len(keys) + 1):
                            client.receive()
                        acknowledged[0] = client.receive()[0]
            except (OSError, ConnectionError):
                pass

        thread = threading.Thread(target=count_up)
        thread.start()
        while acknowledged[0] < 20 * (cycle + 1):
            check(thread.is_alive(), "the client stopped")
            time.sleep(0.001)
        server.kill()
        thread.join()
        server.start()
        with server.client() as client:
            values = set(client.ok("MGET", *keys))
            check_equal(len(values), 1, f"different numbers: {values}")
            check(int(values.pop()) >= acknowledged[0], "an acknowledged EXEC is lost")
    server.stop()


@test
def many_subscribers(t):
    """Everyone gets every message, in order; one who does not read is closed and disturbs nobody."""
    server = t.server().start()
    with server.client() as admin:
        admin.ok("CONFIG", "SET", "client-output-buffer-limit", "pubsub 256kb 0 0")
    subscribers = [server.client() for _ in range(200)]
    for i, client in enumerate(subscribers):
        if i % 2:
            client.ok("HELLO", "3")
        check_equal(client.ok("SUBSCRIBE", "news"), [b"subscribe", b"news", 1], "SUBSCRIBE")
    lazy = server.client()
    lazy.ok("SUBSCRIBE", "news", "big")
    lazy.receive()
    with server.client() as publisher:
        replies = publisher.pipeline([("PUBLISH", "news", "%d" % i) for i in range(500)])
        check_equal(replies, [201] * 500, "receivers")
        for client in subscribers:
            for i in range(500):
                check_equal(client.receive(), [b"message", b"news", b"%d" % i], "a message")
        # The socket takes some megabytes before anything piles up here.
        for _ in range(200):
            if publisher.ok("PUBLISH", "big", b"x" * 100_000) == 0:
                break
        else:
            check(False, "the client that does not read is still there")
        check_equal(publisher.ok("PUBSUB", "NUMSUB", "news"), [b"news", 200], "NUMSUB")
        for client in subscribers:
            client.close()
        while publisher.ok("PUBSUB", "NUMSUB", "news") != [b"news", 0]:
            time.sleep(0.001)
        check_equal(publisher.info("clients")["connected_clients"], "1", "connected clients")
    lazy.close()
    server.stop()


@test
def events_of_keys(t):
    """What is set is told, in order; what expires is told by itself, soon."""
    server = t.server().start()
    with server.client() as listener, server.client() as client:
        client.ok("CONFIG", "SET", "notify-keyspace-events", "Ex$")
        listener.ok("PSUBSCRIBE", "__keyevent@0__:*")
        client.pipeline([("SET", "k%d" % i, "x", "PX", "30") for i in range(300)])
        told = [listener.receive()[2:] for _ in range(600)]
        check_equal(told[:300], [[b"__keyevent@0__:set", b"k%d" % i] for i in range(300)], "set")
        check_equal(sorted(told[300:]), sorted([b"__keyevent@0__:expired", b"k%d" % i] for i in range(300)), "expired")
        check_equal(client.ok("DBSIZE"), 0, "DBSIZE")
        check_equal(client.ok("CONFIG", "SET", "notify-keyspace-events", "AKEm"), "OK", "CONFIG SET")
        check_equal(client.ok("CONFIG", "GET", "notify-keyspace-events"), [b"notify-keyspace-events", b"AKEm"], "CONFIG GET")
        check(isinstance(client("CONFIG", "SET", "notify-keyspace-events", "q"), ReplyError), "an unknown letter")
    server.stop()


@test
def paused_and_unpaused(t):
    """CLIENT PAUSE holds writes back, those inside EXEC too; the time or UNPAUSE lets them go, and none is lost."""
    server = t.server().start()
    with server.client() as admin, server.client() as writer, server.client() as reader:
        writer.ok("SET", "a", "1")
        admin.ok("CLIENT", "PAUSE", "100000", "WRITE")
        writer.send(encode("INCR", "a") * 100)
        check_equal(reader.ok("GET", "a"), b"1", "GET")
        while admin.info("clients")["blocked_clients"] != "1":
            time.sleep(0.001)
        admin.ok("CLIENT", "UNPAUSE")
        check_equal([writer.receive() for _ in range(100)], list(range(2, 102)), "INCR")
        admin.ok("CLIENT", "PAUSE", "50")
        check_equal(reader.ok("GET", "a"), b"101", "GET after the pause")
    server.stop()
