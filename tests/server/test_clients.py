"""Clients that speak the protocol: a client library, RESP2 and RESP3 by hand, inline commands, malformed requests."""

import select
import socket
import threading

from harness import Client, ReplyError, Skip, check, check_equal, encode, test


@test
def client_library(t):
    """python3-redis, as an application uses it."""
    try:
        import redis
    except ImportError:
        raise Skip("there is no python3-redis") from None
    server = t.server().start()
    r = redis.Redis(port=server.port, db=3, client_name="app", health_check_interval=1)
    check_equal(r.set("name", "v\u00e4rve"), True, "SET")
    check_equal(r.get("name").decode(), "v\u00e4rve", "GET")
    check_equal(r.get("nothing"), None, "GET of a missing key")
    check_equal(r.set("name", "other", nx=True), None, "SET NX of a present key")
    check_equal(r.set("soon", "x", px=60000), True, "SET PX")
    check(0 < r.pttl("soon") <= 60000, "PTTL")
    check_equal(r.mset({f"k{i}": i for i in range(100)}), True, "MSET")
    check_equal(r.mget([f"k{i}" for i in range(100)]), [b"%d" % i for i in range(100)], "MGET")
    check_equal(r.incrby("count", 5), 5, "INCRBY")
    check_equal(r.incrbyfloat("real", 0.5), 0.5, "INCRBYFLOAT")
    check_equal(r.getdel("count"), b"5", "GETDEL")
    check_equal(r.append("name", "!"), len("v\u00e4rve!".encode()), "APPEND")
    pipe = r.pipeline(transaction=False)
    for i in range(1000):
        pipe.set(f"p{i}", "x" * i)
        pipe.strlen(f"p{i}")
    check_equal(pipe.execute(), [word for i in range(1000) for word in (True, i)], "a pipeline")
    check_equal(sorted(r.scan_iter(match="p99*", count=50)), sorted([b"p99"] + [b"p99%d" % i for i in range(10)]), "scan_iter")
    check_equal(r.dbsize(), 1103, "DBSIZE")
    check_equal(r.type("name"), b"string", "TYPE")
    try:
        r.incr("name")
        check(False, "INCR of a word gave no error")
    except redis.ResponseError as error:
        check_equal(str(error), "value is not an integer or out of range", "the error of INCR")
    check(r.info()["redis_version"] >= "7", "redis_version")
    check_equal(r.client_getname(), "app", "CLIENT GETNAME")
    check_equal(r.config_get("maxclients")["maxclients"].isdigit(), True, "CONFIG GET")
    check_equal(r.rename("name", "k\u00e4y"), True, "RENAME")
    check_equal(r.unlink("k\u00e4y", "real", "missing"), 2, "UNLINK")
    check_equal(r.flushdb(), True, "FLUSHDB")
    check_equal(r.dbsize(), 0, "DBSIZE after FLUSHDB")
    r.close()
    server.stop()


@test
def resp3(t):
    """HELLO 3 switches one connection: maps and nulls of the new protocol, and back."""
    server = t.server().start()
    with server.client() as client, server.client() as old:
        hello = client.ok("HELLO", "3", "SETNAME", "three")
        check(isinstance(hello, dict), f"HELLO 3 is not a map: {hello}")
        check_equal(hello[b"proto"], 3, "proto")
        check_equal(hello[b"server"], b"redis", "server")
        client.send(encode("GET", "missing"))
        check_equal(client.reader.readline(), b"_\r\n", "a null")
        check(isinstance(client.ok("CONFIG", "GET", "maxclients"), dict), "CONFIG GET is not a map")
        check_equal(client.ok("CLIENT", "GETNAME"), b"three", "the name")
        old.send(encode("GET", "missing"))
        check_equal(old.reader.readline(), b"$-1\r\n", "a null on another connection")
        check(isinstance(client.ok("HELLO", "2"), list), "HELLO 2 is not an array")
        check(str(client("HELLO", "9")).startswith("NOPROTO"), "HELLO 9")
    server.stop()


@test
def pipelining_keeps_order(t):
    """Many connections with deep pipelines of dependent commands: each sees its own replies, in order."""
    server = t.server().start()
    failures = []

    def work(number):
        try:
            with server.client() as client:
                for turn in range(10):
                    key = f"c{number}"
                    batch = []
                    for i in range(300):
                        batch += [("SET", key, f"{turn}-{i}"), ("GET", key), ("ECHO", f"{number}:{i}")]
                    replies = client.pipeline(batch)
                    for i in range(300):
                        got = replies[3 * i : 3 * i + 3]
                        check_equal(got, ["OK", f"{turn}-{i}".encode(), f"{number}:{i}".encode()], "three replies")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_equal(failures, [], "failures")
    server.stop()


@test
def inline_commands(t):
    """What a person types into a plain TCP connection."""
    server = t.server().start()
    with server.client() as client:
        client.send(b"PING\r\nSET greeting \"hello\\tworld\"\r\nGET greeting\n\r\nECHO 'a b'\r\n")
        got = [client.receive() for _ in range(4)]
        check_equal(got, ["PONG", "OK", b"hello\tworld", b"a b"], "replies")
        client.send(b"SET x \"unbalanced\r\n")
        check_equal(client.receive(), ReplyError("ERR Protocol error: unbalanced quotes in request"), "the error")
        check_equal(client.socket.recv(1), b"", "the connection afterwards")
    server.stop()


@test
def malformed_requests(t):
    """Redis's own errors, the connection closed, and the server as small as before."""
    server = t.server().start()
    server.client().ok("SET", "before", "1")
    small = server.resident_bytes()
    cases = [
        (b"*1\r\n$-5\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$99999999999999\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*99999999999\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\nPING\r\n", "ERR Protocol error: expected '$', got 'P'"),
        (b"*1\r\n$x\r\n", "ERR Protocol error: invalid bulk length"),
        (b"A" * 70000, "ERR Protocol error: too big inline request"),
        (b"*" + b"1" * 70000, "ERR Protocol error: too big mbulk count string"),
        (b"*2000000000\r\n", None),
        (b"*1\r\n$500000000\r\n", None),
    ]
    waiting = []
    for data, error in cases:
        client = Client(server.port)
        client.send(data)
        if error is None:
            waiting.append(client)  # legal so far: it waits, and must not have reserved what was only announced
            continue
        check_equal(client.receive(), ReplyError(error), f"the reply to {data[:40]!r}")
        try:
            rest = client.socket.recv(1)
        except ConnectionResetError:
            rest = b""
        check_equal(rest, b"", "the connection afterwards")
    with server.client() as client:
        check_equal(client.ok("GET", "before"), b"1", "GET afterwards")
    check(server.resident_bytes() < small + (32 << 20), f"memory grew from {small} to {server.resident_bytes()}")
    for client in waiting:
        client.close()
    server.stop()


@test
def client_that_never_reads(t):
    """Replies nobody takes stop the client's own commands, not the memory and not the others."""
    server = t.server().start()
    with server.client() as client:
        client.ok("SET", "big", b"x" * (1 << 20))
        before = server.resident_bytes()
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.setblocking(False)
        request = encode("GET", "big") * 1000
        try:
            deaf.send(request)
        except BlockingIOError:
            pass
        for i in range(200):
            check_equal(client.ok("SET", f"other{i}", "1"), "OK", "another client's SET")
        if t.options.against == "varve":
            grown = server.resident_bytes() - before
            check(grown < (96 << 20), f"memory grew by {grown} for a client that does not read")
        deaf.close()
        check_equal(client.ok("STRLEN", "big"), 1 << 20, "STRLEN")
    server.stop()


@test
def many_connections(t):
    """Several hundred connections at once, and the error for one too many."""
    server = t.server().start()
    with server.client() as client:
        client.ok("CONFIG", "SET", "maxclients", "300")
        clients = [server.client() for _ in range(299)]
        for number, other in enumerate(clients):
            other.send(encode("SET", f"n{number}", number))
        check_equal({other.receive() for other in clients}, {"OK"}, "replies")
        extra = server.client()
        check_equal(extra.receive(), ReplyError("ERR max number of clients reached"), "one too many")
        for other in clients:
            other.close()
        check_equal(client.ok("DBSIZE"), 299, "DBSIZE")
    server.stop()


@test
def waiting_clients(t):
    """Clients that wait for time to pass: nobody else does, their own order holds, and they may leave or be left."""
    t.only_varve()
    server = t.server().start()
    with server.client() as client, server.client() as sleeper, server.client() as waiter:
        sleeper.send(encode("DEBUG", "SLEEP", "1") + encode("PING"))
        waiter.send(encode("WAIT", "1", "1000") + encode("PING"))
        for number in range(50):
            check_equal(client.ok("SET", f"k{number}", "1"), "OK", "SET while others wait")
        check_equal(select.select([sleeper.socket, waiter.socket], [], [], 0)[0], [], "clients answered before their time")
        check_equal([sleeper.receive(), sleeper.receive()], ["OK", "PONG"], "DEBUG SLEEP and what came behind it")
        check_equal([waiter.receive(), waiter.receive()], [0, "PONG"], "WAIT and what came behind it")
        # An hour is not over when they leave, nor when the server does.
        leaving = [server.client() for _ in range(100)]
        for number, other in enumerate(leaving):
            other.send(encode("DEBUG", "SLEEP", "3600") if number % 2 else encode("WAIT", "1", "3600000"))
        for other in leaving[:50]:
            other.close()
        while int(client.info("clients")["connected_clients"]) > 53:
            pass
        check_equal(client.ok("PING"), "PONG", "PING")
        server.stop(timeout=20.0)
        check_equal(leaving[99].socket.recv(1), b"", "what a client hears that slept when the server ended")
        for other in leaving[50:]:
            other.close()


@test
def strangers_have_a_deadline(t):
    """handshake-timeout: with a password set, who does not give it is closed; who gave it stays."""
    t.only_varve()
    server = t.server(requirepass="secret", handshake_timeout="1").start()
    with server.client() as known, server.client() as silent, server.client() as slow:
        check_equal(known.ok("AUTH", "secret"), "OK", "AUTH")
        slow.send(b"*2\r\n$4\r\nAU")
        for stranger in (silent, slow):
            check_equal(stranger.socket.recv(1), b"", "the end of a stranger's connection")
        check_equal(known.ok("CONFIG", "GET", "handshake-timeout"), [b"handshake-timeout", b"1"], "the setting")
        check_equal(known.ok("CONFIG", "SET", "handshake-timeout", "0"), "OK", "CONFIG SET")
    server.stop()
