"""What people look at a server with: redis-cli's tools over every data type, MONITOR, the slow log, the default benchmark."""

import os
import re
import select
import subprocess

from harness import ReplyError, check, check_equal, check_no_complaint, test

# One command for each type that is large enough to be sampled, with redis-cli's word for its elements.
TYPES = {
    "string": (lambda i: ("SET", f"string:{i}", "x" * (i + 1)), "bytes"),
    "list": (lambda i: ("RPUSH", f"list:{i}", *range(i + 1)), "items"),
    "set": (lambda i: ("SADD", f"set:{i}", *range(i + 1)), "members"),
    "hash": (lambda i: ("HSET", f"hash:{i}", *[word for j in range(i + 1) for word in (j, "v")]), "fields"),
    "zset": (lambda i: ("ZADD", f"zset:{i}", *[word for j in range(i + 1) for word in (j, f"m{j}")]), "members"),
    "stream": (lambda i: ("XADD", f"stream:{i}", "*", "f", "v"), "entries"),
}
KEYS = 20


def fill_every_type(server):
    """The types the server knows, each with KEYS keys of 1 to KEYS elements."""
    with server.client() as client:
        known = {name for name, (make, _) in TYPES.items() if client.ok("COMMAND", "INFO", make(0)[0])[0]}
        for name in known:
            for reply in client.pipeline([TYPES[name][0](i) for i in range(KEYS)]):
                check(not isinstance(reply, ReplyError), f"{name}: {reply}")
        return known


@test
def redis_cli_samples_every_type(t):
    server = t.server().start()
    known = fill_every_type(server)
    check({"string", "list", "set", "hash", "zset"} <= known, f"types known: {known}")
    out, err = server.cli("--bigkeys")
    check_no_complaint(out + err, "--bigkeys")
    for name in known - {"stream"}:
        check(re.search(rf'Biggest +{name} found [^\n]*:{KEYS - 1}"?\'? has {KEYS} {TYPES[name][1]}', out), f"{name} in:\n{out}")
        check(f"{KEYS} {name}" in out, f"number of keys of {name} in:\n{out}")
    out, err = server.cli("--memkeys")
    check_no_complaint(out + err, "--memkeys")
    for name in known:
        check(re.search(rf"Biggest +{name} found [^\n]* has [1-9]\d* bytes", out), f"{name} in:\n{out}")
    out, err = server.cli("--scan")
    check_equal(len(out.split()), KEYS * len(known), "--scan")
    code, out, err = t.run(["redis-cli", "-p", str(server.port), "--hotkeys"], code=None)
    check(code != 0 and "An LFU maxmemory policy is not selected" in out + err, f"--hotkeys said {out}{err}")
    server.stop()


@test
def redis_cli_latency_history(t):
    server = t.server().start()
    process = subprocess.Popen(["redis-cli", "-p", str(server.port), "--latency-history", "-i", "1", "--raw"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    t.processes.append(process)
    line = read_line(process.stdout, b"samples")
    process.kill()  # a SIGINT may be ignored: what runs in the background inherits that
    process.wait()
    check(re.search(rb"min: \d+, max: \d+, avg: [\d.]+ \(\d+ samples\)", line) or len(line.split()) >= 4,
          f"--latency-history said {line!r}")
    server.stop()


def read_line(stream, wanted, seconds=20.0):
    """What came until `wanted` stands in it, or until a whole line came."""
    seen = b""
    while wanted not in seen and b"\n" not in seen:
        check(select.select([stream], [], [], seconds)[0], f"nothing more came behind {seen!r}")
        more = os.read(stream.fileno(), 65536)
        check(more, f"the program ended behind {seen!r}")
        seen += more
    return seen


@test
def redis_cli_monitor(t):
    server = t.server().start()
    process = subprocess.Popen(["redis-cli", "-p", str(server.port), "monitor"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    t.processes.append(process)
    check_equal(read_line(process.stdout, b"OK\n"), b"OK\n", "its first line")
    with server.client() as client:
        client.ok("SET", "a", b"x\0\n")
        line = read_line(process.stdout, b"\n")
        check(re.fullmatch(rb'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "a" "x\\x00\\n"\n', line), f"MONITOR said {line!r}")
    process.kill()  # a SIGINT may be ignored: what runs in the background inherits that
    process.wait()
    server.stop()


@test
def a_monitor_that_does_not_read_is_closed(t):
    t.only_varve()
    server = t.server().start()
    with server.client() as monitor, server.client() as client:
        client.ok("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
        check_equal(monitor("MONITOR"), "OK", "MONITOR")
        value = "v" * 4096
        for _ in range(200):
            client.pipeline([("SET", f"k{i}", value) for i in range(64)])
            if int(client.info("clients")["connected_clients"]) == 1:
                break
        check_equal(int(client.info("clients")["connected_clients"]), 1, "clients left")
    server.stop()


@test
def slow_commands_and_statistics(t):
    server = t.server().start()
    with server.client() as client:
        client.ok("CONFIG", "SET", "slowlog-log-slower-than", "20000")
        client.ok("CLIENT", "SETNAME", "sleeper")
        client.ok("DEBUG", "SLEEP", "0.03")
        entries = [e for e in client.ok("SLOWLOG", "GET") if e[3][:2] == [b"DEBUG", b"SLEEP"]]
        check_equal(len(entries), 1, "slow commands")
        check(entries[0][2] >= 30000 and entries[0][5] == b"sleeper", f"the entry: {entries[0]}")
        client.pipeline([("SET", f"k{i}", i) for i in range(100)])
        client("INCR", "k1", "x")
        client("LPUSH", "k1", "x")
        info = client.info()
        check(info["cmdstat_set"].startswith("calls=100,"), info["cmdstat_set"])
        check("rejected_calls=1" in info["cmdstat_incr"], info["cmdstat_incr"])
        check("failed_calls=1" in info["cmdstat_lpush"], info["cmdstat_lpush"])
        check(re.fullmatch(r"p50=[\d.]+,p99=[\d.]+,p99.9=[\d.]+", info["latency_percentiles_usec_set"]), "latencystats")
        check_equal(info["errorstat_WRONGTYPE"], "count=1", "errorstats")
        client.ok("CONFIG", "RESETSTAT")
        info = client.info()
        check("cmdstat_set" not in info and "errorstat_ERR" not in info, "after CONFIG RESETSTAT")
    server.stop()


@test
def redis_benchmark_default_suite(t):
    t.need("redis-benchmark")
    server = t.server().start()
    for more in ([], ["-P", "16"], ["-P", "16", "-r", "100000"]):
        out, err = t.run(["redis-benchmark", "-p", str(server.port), "-q", "-n", "2000", *more])
        check_no_complaint(out + err, f"redis-benchmark {more}")
        check(out.count("requests per second") >= 20, f"tests of redis-benchmark {more}:\n{out}")
    server.stop()
