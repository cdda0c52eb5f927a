"""What the system tests stand on: servers in directories of their own, a small RESP client, and a list of tests.

Every server listens on a free port of 127.0.0.1, keeps its data in a temporary directory and is ended by its own process
id. A test is a function of one Context under @test; it fails by an exception and is skipped by raising Skip(reason).
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TESTS = []  # (name, function), in the order of definition


def test(function):
    TESTS.append((function.__name__, function))
    return function


class Skip(Exception):
    """The machine lacks what the test needs; the message says what."""


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: expected {shorten(expected)}, got {shorten(got)}")


def shorten(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def encode(*words):
    """One command as a client sends it."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        if not isinstance(word, bytes):
            word = str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


class ReplyError(Exception):
    """An error reply. It is a value here, never raised by the client itself."""

    def __eq__(self, other):
        return isinstance(other, ReplyError) and self.args == other.args


class Client:
    """A blocking RESP2/RESP3 connection. `send` and `receive` apart make pipelines."""

    def __init__(self, port, timeout=60.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb", buffering=1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def __call__(self, *words):
        self.send(encode(*words))
        return self.receive()

    def ok(self, *words):
        """The reply, which must not be an error."""
        reply = self(*words)
        if isinstance(reply, ReplyError):
            raise AssertionError(f"{shorten(words)}: {reply}")
        return reply

    def pipeline(self, commands):
        self.send(b"".join(encode(*c) for c in commands))
        return [self.receive() for _ in commands]

    def receive(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind in b"$=":
            if rest == b"-1":
                return None
            body = self.reader.read(int(rest) + 2)
            if len(body) != int(rest) + 2:
                raise ConnectionError("the server closed the connection")
            return body[:-2]
        if kind in b"*~>":
            return None if rest == b"-1" else [self.receive() for _ in range(int(rest))]
        if kind == b"%":
            return {hashable(self.receive()): self.receive() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        raise ConnectionError(f"not a reply: {line!r}")

    def scan(self, *options):
        """All keys of a full SCAN, in the order they came, repetitions included."""
        keys, cursor = [], b"0"
        while True:
            cursor, some = self.ok("SCAN", cursor, *options)
            keys += some
            if cursor == b"0":
                return keys

    def info(self, section="everything"):
        """INFO as a dictionary of its name:value lines."""
        text = self.ok("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line and not line.startswith("#"))


def hashable(value):
    return tuple(value) if isinstance(value, list) else value


class Server:
    """One server process. Stopped or killed, it can be started again on the same directory and port."""

    def __init__(self, context, program, directory, arguments, wrapper=()):
        self.context = context
        self.program = program
        self.directory = directory
        self.port = free_port()
        self.arguments = arguments
        self.wrapper = list(wrapper)
        self.log_path = os.path.join(context.folder, f"log-{self.port}.txt")
        self.process = None
        self.password = None

    @property
    def pid(self):
        return self.process.pid

    def command_line(self):
        words = self.wrapper + [self.program] + self.arguments
        return words + ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory]

    def spawn(self, before=None):
        """Starts the process without waiting until it serves. `before` runs in the child first."""
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        preexec_fn=before, start_new_session=True)
        log.close()
        self.context.processes.append(self.process)
        return self

    def start(self, timeout=120.0, before=None):
        return self.spawn(before).start_waiting(timeout)

    def start_waiting(self, timeout=120.0):
        """Waits until the spawned process serves."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with code {self.process.returncode} at its start:\n{self.log_tail()}")
            try:
                with Client(self.port, timeout=5.0) as client:
                    reply = client("PING")
                    if str(reply).startswith("NOAUTH") and self.password:
                        client.ok("AUTH", self.password)
                        reply = client("PING")
                    if reply == "PONG":
                        return self
                    check(str(reply).startswith("LOADING"), f"PING while starting: {reply}")
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError(f"the server did not serve within {timeout:.0f} s:\n{self.log_tail()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=60.0):
        """A clean end by SIGTERM; its exit code must be 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        check(code == 0, f"exit code {code} after SIGTERM:\n{self.log_tail()}")

    def client(self, **options):
        return Client(self.port, **options)

    def cli(self, *words, **options):
        return self.context.run(["redis-cli", "-p", str(self.port), *words], **options)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_tail(self, lines=25):
        return "\n".join("    " + line for line in self.log().splitlines()[-lines:])

    def resident_bytes(self):
        """Anonymous and shared memory held now; file pages the kernel keeps do not count."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem") if name in fields)


class Context:
    """What one test may use; everything it started ends with it."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="varve-system-")
        self.processes = []
        self.servers = []
        self.cleanups = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def server(self, directory=None, wrapper=(), **settings):
        """A server under test, not started. Settings as in the configuration file, with _ for -."""
        directory = directory or self.path(f"data-{len(self.servers)}")
        os.makedirs(directory, exist_ok=True)
        if self.options.against == "redis":
            return self.redis(directory)
        settings.setdefault("maxmemory", "192mb")
        # One cached block in so many is reported missing: commands run again, as they must be able to at any time.
        settings.setdefault("debug_random_miss", "50")
        arguments = [self.options.conf]
        for name, value in settings.items():
            arguments += ["--" + name.replace("_", "-"), str(value)]
        server = self.remember(Server(self, self.options.server, directory, arguments, wrapper))
        server.password = settings.get("requirepass")
        return server

    def redis(self, directory=None, appendonly="yes", appendfsync="always"):
        """A redis-server to compare with, not started."""
        if not self.options.redis_server:
            raise Skip("there is no redis-server")
        directory = directory or self.path(f"redis-{len(self.servers)}")
        os.makedirs(directory, exist_ok=True)
        arguments = ["--appendonly", appendonly, "--appendfsync", appendfsync, "--save", ""]
        return self.remember(Server(self, self.options.redis_server, directory, arguments))

    def remember(self, server):
        self.servers.append(server)
        return server

    def only_varve(self):
        if self.options.against == "redis":
            raise Skip("a matter of varve's own")

    def tool(self, *words, **options):
        program = os.path.join(os.path.dirname(self.options.server), "varve-tool")
        if not os.path.exists(program):
            raise Skip(f"there is no {program}")
        return self.run([program, *words], **options)

    def run(self, words, stdin=b"", timeout=120.0, code=0, env=None):
        """Runs a program to its end: (stdout, stderr) as text. `code` None accepts any exit code and returns it first.
        `env` comes on top of the environment."""
        result = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout, check=False,
                                env=dict(os.environ, **(env or {})))
        out, err = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
        if code is None:
            return result.returncode, out, err
        check(result.returncode == code, f"{' '.join(words)[:200]}: exit code {result.returncode}\n{out[-2000:]}{err[-2000:]}")
        return out, err

    def need(self, *programs):
        for program in programs:
            if shutil.which(program) is None:
                raise Skip(f"there is no {program}")

    def need_root(self):
        if os.getuid() != 0:
            raise Skip("needs root")

    def log_tails(self):
        return "\n".join(f"  log of {os.path.basename(s.program)} on port {s.port}:\n{s.log_tail()}"
                         for s in self.servers if os.path.exists(s.log_path))

    def close(self, keep=False):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for cleanup in reversed(self.cleanups):
            cleanup()
        if keep:
            print(f"  kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


COMPLAINT = re.compile(r"warn|error|could not|unable|failed", re.IGNORECASE)


def check_no_complaint(text, what):
    for line in text.splitlines():
        if COMPLAINT.search(line) and "errors: 0" not in line:
            raise AssertionError(f"{what} complains: {line}")
