"""Bad starts: each ends with an exit code other than 0 and a message that names the cause and the place."""

import os
import shutil
import socket

from harness import check, check_equal, test


def refused(t, server, *expected):
    """Starts a server that must give up; its words must hold all that is expected."""
    server.spawn()
    code = server.process.wait(60)
    said = server.log()
    check(code not in (0, None) and code > 0, f"exit code {code}:\n{said}")
    for word in expected:
        check(word.lower() in said.lower(), f"{word!r} is not in the message:\n{said}")
    check(len(said) < 20000, "the message is endless")
    return said


@test
def port_taken(t):
    t.only_varve()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = t.server()
        server.port = taken.getsockname()[1]
        refused(t, server, str(server.port), "in use")


@test
def wrong_settings(t):
    t.only_varve()
    cases = [
        ("# first\nport 7000\nprot 7000\n", ":3", "prot"),
        ("\nmaxmemory lots\n", ":2", "maxmemory"),
        ("# small\nmaxmemory 1mb\n", ":2: 'maxmemory 1mb'", "at least 41mb"),
        ("level0-stop 5\n", ":1: 'level0-stop 5'", "level0-slow (8)"),
        ("maxmemory-policy allkeys-lru\n", ":1", "maxmemory-policy"),
        ("appendfsync sometimes\n", ":1", "appendfsync"),
        ("requirepass \"unbalanced\n", ":1"),
        ("port 70000\n", ":1", "port"),
    ]
    for number, (text, *expected) in enumerate(cases):
        conf = t.path(f"wrong-{number}.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text)
        server = t.server()
        server.arguments = [conf]
        refused(t, server, *expected)
    server = t.server()
    server.arguments = [t.path("missing.conf")]
    refused(t, server, "missing.conf")
    server = t.server(nonsense_setting="1")
    refused(t, server, "nonsense-setting")


@test
def locked_directory(t):
    """Two servers cannot share a directory; the first one goes on."""
    t.only_varve()
    first = t.server().start()
    refused(t, t.server(first.directory), "lock", "another server", "stop it first")
    with first.client() as client:
        check_equal(client.ok("SET", "a", "1"), "OK", "SET at the first server")
    first.kill()
    t.server(first.directory).start().stop()  # a killed server leaves no lock behind


@test
def foreign_directory(t):
    """A directory that is someone else's is refused and left as it was."""
    t.only_varve()
    files = {"CURRENT": "MANIFEST-000004\n", "MANIFEST-000004": "not ours", "000003.log": "not ours", "IDENTITY": "x"}
    server = t.server()
    for name, text in files.items():
        with open(os.path.join(server.directory, name), "w", encoding="utf-8") as file:
            file.write(text)
    refused(t, server, server.directory)
    for name, text in files.items():
        with open(os.path.join(server.directory, name), encoding="utf-8") as file:
            check_equal(file.read(), text, name)


@test
def unusable_directory(t):
    t.only_varve()
    server = t.server()
    os.rmdir(server.directory)
    with open(server.directory, "w", encoding="utf-8") as file:
        file.write("a file")
    refused(t, server, server.directory)


def filled_directory(t):
    """A directory with tables and a log, of a server that was killed."""
    server = t.server().start()
    with server.client() as client:
        for start in range(0, 20000, 1000):
            client.pipeline([("SET", f"key:{i}", f"value {i} " + "x" * 200) for i in range(start, start + 1000)])
        check_equal(client.ok("BGREWRITEAOF").startswith("Background"), True, "BGREWRITEAOF")
        client.ok("SAVE")
        for i in range(500):
            client.ok("SET", f"late:{i}", f"{i}")
    server.kill()
    return server.directory


def damaged_copy(t, directory, name, change):
    copy = t.path(f"damaged-{len(os.listdir(t.folder))}")
    shutil.copytree(directory, copy)
    path = os.path.join(copy, name)
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data = change(data)
    with open(path, "wb") as file:
        file.write(data)
    return copy


def flip(offset):
    def change(data):
        data[offset % len(data)] ^= 0x40
        return data
    return change


def named(directory, test_name):
    return sorted(name for name in os.listdir(directory) if test_name(name))


@test
def damaged_files(t):
    """A flipped byte in manifest or log is refused by file and offset; in a table it is never served."""
    t.only_varve()
    directory = filled_directory(t)
    t.tool("check", directory)
    manifest = named(directory, lambda n: n.startswith("MANIFEST"))[-1]
    logs = named(directory, lambda n: n.endswith(".log"))
    # The log that is in use: the one with most bytes that are not zero behind its header.
    used = max(logs, key=lambda n: written_bytes(os.path.join(directory, n)))
    refused(t, t.server(damaged_copy(t, directory, manifest, flip(4096 + 40))), manifest)
    refused(t, t.server(damaged_copy(t, directory, manifest, flip(20))), manifest)
    refused(t, t.server(damaged_copy(t, directory, "CURRENT", lambda data: bytearray(b"MANIFEST-99999999\n"))), "CURRENT", "another program")
    copy = damaged_copy(t, directory, used, flip(4096 + 60))
    refused(t, t.server(copy), used, "4096", "varve-tool check", "restore a backup", "salvage", "accept-loss yes")
    code, out, err = t.tool("check", copy, code=None)
    check(code != 0 and used in out + err, f"varve-tool check of a damaged log: code {code}\n{out}{err}")

    table = named(directory, lambda n: not n.startswith("MANIFEST") and n not in logs and n[:1].isdigit())[0]
    copy = damaged_copy(t, directory, table, flip(1000))
    code, out, err = t.tool("check", copy, code=None)
    check(code != 0 and table in out + err, f"varve-tool check of a damaged table: code {code}\n{out}{err}")
    server = t.server(copy).spawn()
    try:
        server.start_waiting()
    except AssertionError:
        check(table in server.log(), f"refused without naming {table}:\n{server.log()}")
        return
    errors = 0
    with server.client() as client:
        for i in range(20000):
            reply = client("GET", f"key:{i}")
            if reply != f"value {i} ".encode() + b"x" * 200:
                check(not isinstance(reply, (bytes, type(None))), f"key:{i} was served wrong: {reply!r:.80}")
                errors += 1
    check(errors > 0, "nobody noticed the damaged block")
    check(table in server.log(), f"the log does not name {table}")

    missing = damaged_copy(t, directory, "CURRENT", lambda data: data)
    os.remove(os.path.join(missing, table))
    said = refused(t, t.server(missing), table, "varve-tool check", "restore a backup", "salvage")
    check("accept-loss" not in said, f"accept-loss does not bring a table back:\n{said}")


def written_bytes(path):
    with open(path, "rb") as file:
        data = file.read()[4096:]
    return len(data) - data.count(0)


@test
def clean_shutdown(t):
    """SIGTERM, SIGINT and SHUTDOWN end with code 0 and keep everything, clients connected or not."""
    server = t.server().start()
    client = server.client()
    client.ok("SET", "a", "1")
    server.stop()
    client.close()
    server.start()
    with server.client() as client:
        check_equal(client.ok("GET", "a"), b"1", "GET after SIGTERM")
        client.ok("SET", "a", "2")
        try:
            reply = client("SHUTDOWN")
            check(False, f"SHUTDOWN answered {reply}")
        except ConnectionError:
            pass
        check_equal(server.process.wait(30), 0, "exit code after SHUTDOWN")
    server.start()
    with server.client() as client:
        check_equal(client.ok("GET", "a"), b"2", "GET after SHUTDOWN")
    server.stop()


@test
def version_and_help(t):
    """Asked for its version, the program says it and ends."""
    t.only_varve()
    out, _ = t.run([t.options.server, "--version"])
    check("varve" in out.lower(), out)


@test
def unix_socket(t):
    """A Unix socket beside the TCP port; what a killed server left there does not stand in the way."""
    t.only_varve()
    path = t.path("varve.sock")
    server = t.server(unixsocket=path).start()
    for _ in range(2):
        out, err = t.run(["redis-cli", "-s", path, "PING"])
        check_equal(out.strip(), "PONG", f"PING by {path} ({err})")
        server.kill()
        server.start()
    server.stop()
    check(not os.path.exists(path), "the socket file stayed behind a clean end")


@test
def password(t):
    """requirepass: nothing but AUTH and HELLO before it; limits hold for those who have not said it."""
    t.only_varve()
    server = t.server(requirepass="secret").start()
    with server.client() as client:
        check(str(client("GET", "a")).startswith("NOAUTH"), "GET without a password")
        check(str(client("AUTH", "wrong")).startswith("WRONGPASS"), "AUTH with a wrong one")
        check_equal(client.ok("AUTH", "secret"), "OK", "AUTH")
        check_equal(client.ok("SET", "a", "1"), "OK", "SET")
    with server.client() as stranger:
        stranger.send(b"*1\r\n$100000\r\n")
        reply = stranger.receive()
        check("unauthenticated bulk length" in str(reply), f"a long argument before AUTH: {reply}")
    server.stop()
