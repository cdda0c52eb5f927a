"""Redis's own command line tools, which must run without a warning or an error."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import check, check_equal, check_no_complaint, encode, test


def fill(server, count=5000):
    with server.client() as client:
        client.pipeline([("SET", f"key:{i:06d}", "v" * (i % 200)) for i in range(count)])


@test
def redis_benchmark(t):
    t.need("redis-benchmark")
    server = t.server().start()
    for depth in ("1", "16"):
        out, err = t.run(["redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr,mset", "-q", "-n", "20000",
                          "-r", "10000", "-P", depth])
        check_no_complaint(out + err, f"redis-benchmark -P {depth}")
        for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"):
            check(re.search(re.escape(name) + r": [\d.]+ requests per second", out), f"no result for {name} in:\n{out}")
    server.stop()


@test
def redis_cli_scan(t):
    server = t.server().start()
    fill(server)
    out, err = server.cli("--scan")
    check_equal(sorted(out.split()), [f"key:{i:06d}" for i in range(5000)], "--scan")
    check_equal(err, "", "stderr of --scan")
    out, err = server.cli("--scan", "--quoted-pattern", r'"key:00\x31\x329?"')
    check_equal(sorted(out.split()), [f"key:{i:06d}" for i in range(1290, 1300)], "--scan --quoted-pattern")
    out, err = server.cli("--scan", "--pattern", "key:0012*")
    check_equal(sorted(out.split()), [f"key:{i:06d}" for i in range(1200, 1300)], "--scan --pattern")
    server.stop()


@test
def redis_cli_bigkeys(t):
    server = t.server().start()
    fill(server)
    out, err = server.cli("--bigkeys")
    check("Sampled 5000 keys in the keyspace!" in out, out)
    check("Biggest string found" in out and "has 199 bytes" in out, out)
    check_no_complaint(out + err, "--bigkeys")
    server.stop()


@test
def redis_cli_latency(t):
    server = t.server().start()
    out, err = server.cli("--latency")
    numbers = out.split()
    check(len(numbers) >= 4 and float(numbers[2]) < 1000 and int(numbers[3]) > 5, f"--latency said: {out}")
    check_no_complaint(out + err, "--latency")
    server.stop()


@test
def redis_cli_pipe(t):
    server = t.server().start()
    out, err = server.cli("--pipe", stdin=b"".join(encode("SET", f"p{i}", b"\r\n\0" * i) for i in range(2000)))
    check("errors: 0, replies: 2000" in out, f"--pipe said: {out}{err}")
    with server.client() as client:
        check_equal(client.ok("GET", "p1999"), b"\r\n\0" * 1999, "the last value")
        check_equal(client.ok("DBSIZE"), 2000, "DBSIZE")
    server.stop()


class Terminal:
    """redis-cli as a person runs it: on a terminal, with hints and prompts."""

    def __init__(self, t, server, *words, kind="dumb"):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM=kind, HOME=t.folder)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and so would redis-cli
            os.execvp("redis-cli", ["redis-cli", "-p", str(server.port), *words])
        self.text = ""

    def expect(self, prompt, seconds=20.0):
        """Everything up to the prompt."""
        deadline = time.monotonic() + seconds
        while prompt not in self.text:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.fd], [], [], left)[0]
            check(ready, f"redis-cli did not come to {prompt!r}: {self.text!r}")
            self.text += os.read(self.fd, 65536).decode(errors="replace")
        before, self.text = self.text.split(prompt, 1)
        return before

    def type(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def close(self):
        self.type("exit")
        code = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return code


@test
def redis_cli_stat(t):
    """--stat never ends by itself: a few lines on a terminal, then an interrupt."""
    server = t.server().start()
    fill(server)
    terminal = Terminal(t, server, "--stat", "-i", "0.1")
    said = terminal.expect("keys")
    for _ in range(4):
        said += terminal.expect("\r\n5000 ")
    os.kill(terminal.pid, signal.SIGINT)
    os.waitpid(terminal.pid, 0)
    check_no_complaint(said, "--stat")
    server.stop()


@test
def redis_cli_interactive(t):
    server = t.server().start()
    terminal = Terminal(t, server)
    prompt = f"127.0.0.1:{server.port}"
    said = terminal.expect(prompt + "> ")
    check_no_complaint(said, "redis-cli at its start")
    dialogue = [("set city Bremen", "> ", "OK"), ("get city", "> ", '"Bremen"'), ("get nothing", "> ", "(nil)"),
                ("incr n", "> ", "(integer) 1"), ("select 2", "[2]> ", "OK"), ("get city", "[2]> ", "(nil)"),
                ("select 0", "> ", "OK"), ("mget city nothing", "> ", '1) "Bremen"'), ("hello 3", "> ", "proto"),
                ("get city", "> ", '"Bremen"'), ("dbsize", "> ", "(integer) 2"), ("help set", "> ", "Set the string value"),
                ("help @list", "> ", "LPUSH"), ("help compact", "> ", "COMPACT"),
                ("nonsense", "> ", "ERR unknown command 'nonsense'")]
    for line, end, expected in dialogue:
        terminal.type(line)
        said = terminal.expect(prompt + end)
        check(expected in said, f"{line!r} said {said!r}, expected {expected!r}")
    check_equal(terminal.close(), 0, "exit code of redis-cli")
    server.stop()


@test
def redis_cli_hints(t):
    """What redis-cli shows in grey behind the words while a person types: the arguments that may follow."""
    server = t.server().start()
    terminal = Terminal(t, server, kind="xterm")
    prompt = f"127.0.0.1:{server.port}> "
    terminal.expect(prompt)
    os.write(terminal.fd, b"lpush ")
    terminal.expect("key element [element ...]")
    terminal.type("numbers 1 2")
    terminal.expect("(integer) 2")
    terminal.expect(prompt)
    check_equal(terminal.close(), 0, "exit code of redis-cli")
    server.stop()


def shape(docs):
    """COMMAND DOCS without its sentences, which are each server's own, and without subcommands."""
    if isinstance(docs, dict):
        return {name: shape(value) for name, value in docs.items() if name not in (b"summary", b"history", b"subcommands")}
    return [shape(value) for value in docs] if isinstance(docs, list) else docs


@test
def command_docs_beside_redis(t):
    """What newer redis-cli makes its hints and help from: the same arguments, groups and flags as redis-server's."""
    t.only_varve()
    both = []
    for server in (t.redis().start(), t.server().start()):
        with server.client() as client:
            client.ok("HELLO", "3")
            docs = client.ok("COMMAND", "DOCS")
        server.stop()
        for command in list(docs.values()):
            docs.update(command.get(b"subcommands", {}))
        both.append(docs)
    theirs, ours = both
    # WITHSCORE came with 7.2, and Debian's redis-server is older.
    common = sorted(set(theirs) & set(ours) - {b"zrank", b"zrevrank"})
    check(len(common) > 250, f"commands of both: {len(common)}")
    differing = [f"{name.decode()}: {shape(theirs[name])} there, {shape(ours[name])} here" for name in common
                 if shape(ours[name]) != shape(theirs[name])]
    check(not differing, "COMMAND DOCS differs:\n" + "\n".join(differing))
    check(all(entry[b"summary"] for entry in ours.values()), "a command has no summary")


@test
def monitoring_commands(t):
    """What dashboards ask for on connecting."""
    server = t.server().start()
    fill(server, 100)
    with server.client() as client:
        info = client.info()
        for name in ("redis_version", "process_id", "tcp_port", "uptime_in_seconds", "connected_clients", "used_memory",
                     "maxmemory", "total_commands_processed", "keyspace_hits", "role", "db0", "loading"):
            check(name in info, f"INFO has no {name}")
        check(info["db0"].startswith("keys=100,"), f"INFO keyspace says {info['db0']}")
        check_equal(int(info["tcp_port"]), server.port, "tcp_port")
        check(client.ok("COMMAND", "COUNT") > 50, "COMMAND COUNT")
        for name in (("CONFIG", "GET", "save"), ("CONFIG", "GET", "appendonly")):
            check_equal(len(client.ok(*name)), 2, " ".join(name))
        check("id=" in client.ok("CLIENT", "LIST").decode(), "CLIENT LIST")
    out, err = server.cli("INFO", "server")
    check("redis_version:" in out and err == "", out + err)
    server.stop()
