"""What the server benchmarks share: servers to measure, their CPU time, redis-benchmark, results as JSON and as plots."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
import types

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "server"))

from harness import Context, check, encode  # noqa: E402


def numbers(text):
    return [int(word) for word in text.split(",")]


def words(text):
    return text.split(",")


def add_server_arguments(parser):
    parser.add_argument("--appendfsync", default="always", help="varve's setting")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="a setting of varve's")
    parser.add_argument("--server", default=os.path.join(ROOT, "build", "varve-server"))
    parser.add_argument("--conf", default=os.path.join(ROOT, "conf", "varve.conf"))
    parser.add_argument("--redis-server", default=shutil.which("redis-server"))
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "bench"), help="where results and plots go")


def new_context(options):
    return Context(types.SimpleNamespace(against="varve", server=options.server, conf=options.conf,
                                         redis_server=options.redis_server))


def varve_settings(options):
    """The durable default, and whatever --setting says."""
    given = dict(word.split("=", 1) for word in options.setting)
    settings = {"maxmemory": "0", "debug_random_miss": "0", "appendfsync": options.appendfsync}
    return settings | {name.replace("-", "_"): value for name, value in given.items()}


def cpu_seconds(pid):
    """Of all threads of a process so far, to the nanosecond: its clock as clock_getcpuclockid(3) names it."""
    return time.clock_gettime((~pid << 3) | 2)


def feed(server, chunks):
    """Sends pieces of encoded commands by redis-cli --pipe; none may fail."""
    with subprocess.Popen(["redis-cli", "-p", str(server.port), "--pipe"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as loader:
        for chunk in chunks:
            loader.stdin.write(chunk)
        loader.stdin.close()
        said = loader.stdout.read().decode()
    check("errors: 0" in said, f"loading: {said}")


def load(server, keys, value_size, start=0, compressible=True):
    """The keys redis-benchmark draws from, `start` to `keys`."""
    text = b"x" * value_size if compressible else os.urandom(value_size + (1 << 20))

    def value(i):
        begin = i * 7919 % (len(text) - value_size + 1)
        return text[begin : begin + value_size]

    feed(server, (b"".join(encode("SET", b"key:%012d" % i, value(i)) for i in range(begin, min(begin + 1000, keys)))
                  for begin in range(start, keys, 1000)))


def benchmark(port, operation, clients, pipeline, requests, keys, value_size, threads=0):
    """(requests per second, p50 in milliseconds, p99 in milliseconds) by redis-benchmark."""
    command = ["redis-benchmark", "-p", str(port), "-t", operation, "-c", str(clients), "-P", str(pipeline), "-n", str(requests),
               "-d", str(value_size), "-r", str(keys), "--csv"]
    if threads:
        command += ["--threads", str(threads)]
    for _ in range(5):
        result = subprocess.run(command, capture_output=True, check=False, text=True)
        # A weakness of redis-benchmark: its timer may fire in a short run when no client is connected yet, or any more.
        if result.returncode == 0 or "All clients disconnected" not in result.stdout + result.stderr:
            break
    check(result.returncode == 0, f"{' '.join(command)}: exit code {result.returncode}: {result.stdout}{result.stderr}")
    row = list(csv.DictReader(result.stdout.splitlines()))[-1]  # what LRANGE needs comes in a row before it
    return float(row["rps"]), float(row["p50_latency_ms"]), float(row["p99_latency_ms"])


def write_json(options, name, results):
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, name + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    return path


def plot(options, name, title, x_label, y_label, series, logarithmic="x"):
    """Draws {label: [(x, y), ...]} into an SVG by gnuplot; its path, or why there is none."""
    gnuplot = shutil.which("gnuplot")
    if gnuplot is None:
        return "no plot: gnuplot is not installed"
    os.makedirs(options.out, exist_ok=True)
    path = os.path.join(options.out, name + ".svg")
    lines = ["set terminal svg size 900,520 background 'white'", f"set output '{path}'", f"set title '{title}'",
             f"set xlabel '{x_label}'", f"set ylabel '{y_label}'", "set key outside", "set grid", "set yrange [0:*]"]
    if logarithmic:
        lines.append(f"set logscale {logarithmic}")
    lines.append("plot " + ", ".join(f"'-' with linespoints title '{label}'" for label in series))
    for points in series.values():
        lines += [f"{x} {y}" for x, y in points] + ["e"]
    subprocess.run([gnuplot], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)
    return path


def plot_bars(options, name, title, y_label, groups, series, targets):
    """Draws {label: [{median, min, max} or None for each group]} as bars with their spread, and a mark at each group's target,
    into an SVG by gnuplot; its path, or why there is none."""
    gnuplot = shutil.which("gnuplot")
    if gnuplot is None:
        return "no plot: gnuplot is not installed"
    path = os.path.join(options.out, name + ".svg")
    width = 0.8 / len(series)
    lines = ["set terminal svg size 1100,520 background 'white'", f"set output '{path}'", f"set title '{title}'",
             f"set ylabel '{y_label}'", "set key outside bottom center horizontal", "set grid ytics", "set logscale y 2",
             "set style fill solid 0.6", f"set xrange [-0.6:{len(groups) - 0.4}]",
             "set xtics rotate by -25 (" + ", ".join(f"'{group}' {i}" for i, group in enumerate(groups)) + ")"]
    drawn = [f"'-' using 1:2:(0.9*{width}) with boxes title '{label}', '-' with yerrorbars pt 0 lc rgb 'black' notitle"
             for label in series]
    lines.append("plot " + ", ".join(drawn + ["'-' with xerrorbars pt 0 lw 2 lc rgb 'red' title 'target'"]))
    for i, ratios in enumerate(series.values()):
        points = [(group + (i - (len(series) - 1) / 2) * width, ratio) for group, ratio in enumerate(ratios) if ratio]
        lines += [f"{x} {ratio['median']}" for x, ratio in points] + ["e"]
        lines += [f"{x} {ratio['median']} {ratio['min']} {ratio['max']}" for x, ratio in points] + ["e"]
    lines += [f"{group} {target} 0.45" for group, target in enumerate(targets) if target] + ["e"]
    subprocess.run([gnuplot], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True)
    return path
