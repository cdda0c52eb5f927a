"""The benchmarks run at a small size, so that they never rot. Their figures mean nothing here."""

import os
import subprocess
import sys

from harness import Skip, check, test

SCRIPTS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts")


def run_bench(t, name, *arguments):
    t.only_varve()
    if not t.options.redis_server:
        raise Skip("there is no redis-server")
    t.need("redis-benchmark", "redis-cli")
    words = [sys.executable, os.path.join(SCRIPTS, name), "--server", t.options.server, "--out", t.path("out"), *arguments]
    out, _ = t.run(words)
    check(os.listdir(t.path("out")), f"{name} wrote no results:\n{out}")
    return out


@test
def bench_redis(t):
    out = run_bench(t, "bench_redis.py", "--rounds", "1", "--clients", "5", "--pipelines", "16", "--keys", "1000", "--requests",
                    "2000", "--against", "none")
    check("GET 5 clients, pipeline 16" in out, out)


@test
def bench_collections(t):
    out = run_bench(t, "bench_collections.py", "--sizes", "10,1000", "--requests", "200", "--singles", "2", "--pairs", "500",
                    "--queues", "10")
    check("ZRANK" in out and "UNLINK of a hash" in out and "list queue of" in out, out)


@test
def bench_expiry(t):
    out = run_bench(t, "bench_expiry.py", "--keys", "2000", "--seconds", "0.2")
    check("events on" in out and "meanwhile" in out, out)


@test
def bench_scale(t):
    out = run_bench(t, "bench_scale.py", "--keys", "100,1000", "--connections", "1,10", "--requests", "2000")
    check("connections" in out, out)


@test
def bench_limits(t):
    limits = os.path.join(os.path.dirname(t.options.server), "tests", "machine_limits")
    if not os.path.exists(limits):
        raise Skip(f"there is no {limits}")
    out = run_bench(t, "bench_limits.py", "--seconds", "1", "--file-mb", "64", "--requests", "2000", "--keys", "1000",
                    "--cold-mb", "64", "--limits", limits)
    check("GET P=64" in out, out)


@test
def bench_engine(t):
    t.only_varve()
    bench = os.path.join(os.path.dirname(t.options.server), "tests", "engine_bench")
    if not os.path.exists(bench):
        raise Skip(f"there is no {bench}")
    out, _ = t.run([sys.executable, os.path.join(SCRIPTS, "bench_engine.py"), "--bench", bench, "--out", t.path("out"), "--tiny"])
    check("recovery" in out and os.path.exists(os.path.join(t.path("out"), "engine.json")), out)
