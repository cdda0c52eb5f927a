"""Real stacks, unmodified: the client libraries and the software above them that people run, of those that need no scripts.

Each program in stacks/ checks its results itself and prints the versions it ran with. `scripts/dev test stacks` installs
them all; where one is missing, its test is skipped and says which packages it wants.
"""

import http.cookiejar
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from harness import Skip, check, check_equal, check_no_complaint, free_port, test

STACKS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stacks")
FROM_DEBIAN = "/usr/share/nodejs"
FROM_NPM = os.path.abspath(os.path.join(STACKS, "../../../build-stacks/node_modules"))


def want(t, packages, *probe, **environment):
    """Skips unless the probe, a program that only loads the stack, ends well."""
    if shutil.which(probe[0]) is None or t.run(probe, code=None, env=environment)[0] != 0:
        raise Skip(f"needs {packages} (scripts/dev test stacks)")


def run_stack(t, server, *words, **environment):
    """Runs a program that checks its own results; its only line names the versions."""
    out, err = t.run(words + (str(server.port),), env=environment, timeout=300.0)
    check(out.count("\n") == 1 and not err, f"{words} said: {out}{err}")
    print(f"         {out}", end="")
    server.stop()


def python_stack(t, packages, module, program):
    want(t, packages, sys.executable, "-c", f"import {module}")
    run_stack(t, t.server().start(), sys.executable, "-B", os.path.join(STACKS, program))


@test
def stack_redis_py(t):
    python_stack(t, "python3-redis", "redis", "redis_py.py")


@test
def stack_rq(t):
    python_stack(t, "python3-rq", "rq", "rq_jobs.py")


@test
def stack_django(t):
    python_stack(t, "python3-django-redis", "django_redis", "django_cache.py")


@test
def stack_php(t):
    want(t, "php-cli, php-redis", "php", "-r", "new Redis();")
    run_stack(t, t.server().start(), "php", os.path.join(STACKS, "client.php"))


@test
def stack_ruby(t):
    want(t, "ruby-redis", "ruby", "-e", "require 'redis'")
    run_stack(t, t.server().start(), "ruby", os.path.join(STACKS, "client.rb"))


def node_stack(t, packages, folder, module, program, *more):
    want(t, packages, "node", "-e", f"require('{module}')", NODE_PATH=folder)
    words = ["node", os.path.join(STACKS, program)]
    run_stack(t, t.server().start(), *words, *more, NODE_PATH=folder)


@test
def stack_node_redis_of_debian(t):
    node_stack(t, "node-redis", FROM_DEBIAN, "redis", "node_redis.js", "2")


@test
def stack_node_redis_of_npm(t):
    node_stack(t, "redis of npm", FROM_NPM, "redis", "node_redis.js", "3")


@test
def stack_ioredis(t):
    node_stack(t, "ioredis of npm", FROM_NPM, "ioredis", "ioredis.js")


class Browser:
    """Follows cookies, as a person's browser does."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path):
        with self.opener.open(self.address + path, timeout=60) as answer:
            return answer.read().decode()

    def cookie(self):
        return next(iter(self.jar)).value


def page_log(t, port):
    with open(t.path(f"page-{port}.txt"), encoding="utf-8") as file:
        return file.read()


def serve_page(t, port, words, **environment):
    """Starts a program that serves HTTP and waits until it accepts connections."""
    with open(t.path(f"page-{port}.txt"), "wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, **environment))
    t.processes.append(process)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{words} ended with code {process.returncode}: {page_log(t, port)}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


def count_visits(server, port):
    """Two people visit; one logs in and out; the server is killed in between. Gives the one who logged in."""
    ann, bob = Browser(port), Browser(port)
    check_equal([json.loads(ann.get("/")), json.loads(ann.get("/")), json.loads(bob.get("/"))],
                [{"visits": 1}, {"visits": 2}, {"visits": 1}], "visits")
    before = ann.cookie()
    check_equal(ann.get("/login"), "welcome", "the login")
    check(ann.cookie() != before, "the session's id did not change with the login")
    server.kill()
    server.start()
    user = {"name": "ann", "groups": [1, 2]}
    check_equal([json.loads(ann.get("/")), json.loads(bob.get("/"))], [{"visits": 3, "user": user}, {"visits": 2}], "visits after a kill")
    return ann


def check_sessions(server, database, prefix, seconds):
    with server.client() as client:
        client.ok("SELECT", database)
        keys = client.scan()
        check(len(keys) == 2 and all(key.startswith(prefix) for key in keys), f"keys of the sessions: {keys}")
        check(all(0 < client.ok("TTL", key) <= seconds for key in keys), "their time to live")


@test
def stack_php_sessions(t):
    """phpredis as the session handler of PHP's own web server."""
    want(t, "php-cli, php-redis", "php", "-r", "new Redis();")
    server = t.server().start()
    port = free_port()
    settings = {"session.save_handler": "redis", "session.save_path": f'"tcp://127.0.0.1:{server.port}?database=2&prefix=php:"',
                "session.gc_maxlifetime": "600"}
    words = ["php"] + [word for name, value in settings.items() for word in ("-d", f"{name}={value}")]
    serve_page(t, port, words + ["-S", f"127.0.0.1:{port}", os.path.join(STACKS, "session.php")])
    ann = count_visits(server, port)
    check_sessions(server, 2, b"php:", 600)
    check_equal((ann.get("/leave"), json.loads(ann.get("/"))), ("left", {"visits": 1}), "after leaving")
    server.stop()


@test
def stack_node_sessions(t):
    """express-session with connect-redis."""
    want(t, "express-session and connect-redis of npm", "node", "-e", "['express-session', 'connect-redis', 'redis'].map(require)",
         NODE_PATH=FROM_NPM)
    server = t.server().start()
    port = free_port()
    serve_page(t, port, ["node", os.path.join(STACKS, "session.js"), str(server.port), str(port)], NODE_PATH=FROM_NPM)
    ann = count_visits(server, port)
    check_sessions(server, 3, b"node:", 600)
    check_equal(json.loads(ann.get("/store")), [2, 2], "sessions in the store")
    check_equal((ann.get("/leave"), json.loads(ann.get("/"))), ("left", {"visits": 1}), "after leaving")
    server.stop()


def scrape(t, server):
    """The exporter's page about a server that a little was done to: {metric with its labels: value}."""
    with server.client() as client:
        client.pipeline([("SET", f"key:{i}", "v" * i) for i in range(10)])
        client.pipeline([("GET", "key:1"), ("GET", "missing"), ("INCR", "key:9"), ("NONSENSE",), ("RPUSH", "list", "a", "b")])
        client.pipeline([("SELECT", "3"), ("XADD", "events", "1-1", "f", "v"), ("SET", "mortal", "x", "EX", "1000")])
    port = free_port()
    serve_page(t, port, ["prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{server.port}", "-web.listen-address",
                         f"127.0.0.1:{port}", "-check-keys", "db0=key:*,db0=list", "-count-keys", "db0=key:*", "-check-streams",
                         "db3=events", "-export-client-list", "-include-system-metrics"])
    lines = [line.rpartition(" ") for line in Browser(port).get("/metrics").splitlines() if line.startswith("redis_")]
    check_no_complaint(page_log(t, port), "the exporter")
    return {name: float(value) for name, _, value in lines}


@test
def stack_redis_exporter(t):
    """Prometheus's exporter: what a dashboard shows is there and right."""
    want(t, "prometheus-redis-exporter", "prometheus-redis-exporter", "--version")
    server = t.server().start()
    page = scrape(t, server)
    wanted = {"redis_up": 1, 'redis_exporter_last_scrape_error{err=""}': 0, "redis_target_scrape_request_errors_total": 0,
              'redis_db_keys{db="db0"}': 11, 'redis_db_keys{db="db3"}': 2,
              'redis_db_keys_expiring{db="db3"}': 1, 'redis_commands_total{cmd="set"}': 11, 'redis_commands_total{cmd="get"}': 2,
              'redis_commands_failed_calls_total{cmd="incr"}': 1, "redis_keyspace_hits_total": 1, "redis_keyspace_misses_total": 1,
              "redis_blocked_clients": 0, "redis_aof_enabled": 1, "redis_aof_last_write_status": 1, "redis_rdb_last_bgsave_status": 1,
              'redis_key_size{db="db0",key="key:7"}': 7, 'redis_key_size{db="db0",key="list"}': 2,
              'redis_keys_count{db="db0",key="key:*"}': 10, 'redis_stream_length{db="db3",stream="events"}': 1,
              'redis_latency_percentiles_usec_count{cmd="set"}': 11}
    check_equal({name: page.get(name) for name in wanted}, wanted, "metrics")
    for name in ("redis_connected_clients", "redis_memory_used_bytes", "redis_config_maxclients", "redis_commands_processed_total",
                 "redis_net_input_bytes_total", "redis_net_output_bytes_total"):
        check(page.get(name, 0) > 0, f"{name}: {page.get(name)}")
    check(any(re.match(r'redis_instance_info\{.*redis_version="7\.', name) for name in page), "the instance's information")
    names = {name.partition("{")[0] for name in page}
    if t.options.against == "varve" and t.options.redis_server:
        theirs = {name.partition("{")[0] for name in scrape(t, t.redis().start())}
        # There is no RESTORE that could refuse a payload, and no thread of its own for clients.
        check_equal(theirs - names, {"redis_config_io_threads"}, "metrics of redis-server only")
    server.stop()
