#!/usr/bin/env python3
"""Many keys that expire within a few seconds, and what others notice of it: --keys keys fall due evenly over --seconds, while one
client sends GET and SET one at a time.

Printed: expirations a second, how far they were behind (by DBSIZE: keys that were due and still counted; by the `expired` events, in
a second round with a subscriber: from due to the message), and the client's latencies in a quiet time and meanwhile.
"""

import argparse
import random
import threading
import time

from bench_common import add_server_arguments, cpu_seconds, feed, load, new_context, varve_settings, write_json
from harness import check, encode

OTHERS = 10000  # keys without expiry that the client works on
BATCH = 1000
LEAD = 4  # giving them all a time is allowed so many times as long as it took to load them


def parse_arguments():
    parser = argparse.ArgumentParser(description="active expiry and other clients")
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--seconds", type=float, default=10, help="over which they fall due")
    parser.add_argument("--value-size", type=int, default=50)
    add_server_arguments(parser)
    return parser.parse_args()


class Due:
    """When which key falls due: in the order of their numbers, evenly."""

    def __init__(self, options, start):
        self.start = start
        self.keys = options.keys
        self.seconds = options.seconds

    def of(self, i):
        return self.start + i * self.seconds / self.keys


class Gone(threading.Thread):
    """Asks how many keys are left until all are gone: when that was, and the longest that one was overdue."""

    def __init__(self, server, due):
        super().__init__(daemon=True)
        self.client = server.client()
        self.due = due
        self.lag = 0.0
        self.end = None

    def run(self):
        while self.end is None:
            asked = time.time()
            gone = self.due.keys + OTHERS - self.client.ok("DBSIZE")
            if gone < self.due.keys:
                self.lag = max(self.lag, asked - self.due.of(gone))
                time.sleep(0.02)
            else:
                self.end = time.time()


class Events(threading.Thread):
    """Takes the `expired` messages and holds the last one of each read against the clock."""

    def __init__(self, server, due):
        super().__init__(daemon=True)
        self.client = server.client()
        self.client.ok("CONFIG", "SET", "notify-keyspace-events", "Ex")
        self.client.ok("SUBSCRIBE", "__keyevent@0__:expired")
        self.due = due
        self.lag = 0.0
        self.count = 0

    def run(self):
        data = b""
        while self.count < self.due.keys:
            some = self.client.socket.recv(1 << 20)
            check(some, "the server closed the subscriber's connection")
            data += some
            end = data.rfind(b"*3\r\n")  # what follows may be incomplete
            if self.count + data.count(b"key:") == self.due.keys:
                end = len(data)
            last = data.rfind(b"key:", 0, end)
            if last >= 0:
                self.count += data.count(b"key:", 0, end)
                self.lag = max(self.lag, time.time() - self.due.of(int(data[last + 4:last + 16])))
                data = data[end:]


def latencies(server, go_on):
    """Percentiles in microseconds of GET and SET, one at a time, while go_on() says so."""
    chance = random.Random(5)
    taken = {"GET": [], "SET": []}
    with server.client() as client:
        while go_on():
            for name, more in (("GET", ()), ("SET", (b"x" * 50,))):
                command = encode(name, b"other:%d" % chance.randrange(OTHERS), *more)
                at = time.perf_counter()
                client.send(command)
                client.receive()
                taken[name].append((time.perf_counter() - at) * 1e6)
    figures = {}
    for name, times in taken.items():
        times.sort()
        at = {label: times[int(len(times) * share)] for label, share in (("p50", .5), ("p99", .99), ("p99.9", .999))}
        figures[name] = at | {"max": times[-1], "count": len(times)}
    return figures


def show(label, figures):
    for name, row in figures.items():
        print(f"  {label:16} {name}: " + "  ".join(f"{key} {us:8.0f} us" for key, us in row.items() if key != "count")
              + f"  ({row['count']} requests)", flush=True)


def measure(name, server, options, with_events):
    client = server.client()
    began = time.time()
    load(server, options.keys, options.value_size)
    spent = time.time() - began
    until = time.time() + min(5, options.seconds)
    quiet = latencies(server, lambda: time.time() < until)
    due = Due(options, time.time() + LEAD * spent + 1)
    feed(server, (b"".join(encode(b"PEXPIREAT", b"key:%012d" % i, b"%d" % (due.of(i) * 1000))
                           for i in range(begin, min(begin + BATCH, options.keys)))
                  for begin in range(0, options.keys, BATCH)))
    check(time.time() < due.start, "the keys fell due before all of them had their time")
    events = Events(server, due) if with_events else None
    time.sleep(max(0, due.start - time.time()))
    cpu = cpu_seconds(server.pid)
    gone = Gone(server, due)
    for thread in filter(None, (gone, events)):
        thread.start()
    busy = latencies(server, lambda: gone.end is None)
    cpu = cpu_seconds(server.pid) - cpu
    if events:
        events.join(60)
        check(events.count == options.keys, f"{events.count} events of {options.keys} keys")
    row = {"rate": options.keys / (gone.end - due.start), "lag_s": gone.lag, "event_lag_s": events.lag if events else None,
           "cpu_us": cpu / options.keys * 1e6, "quiet": quiet, "meanwhile": busy}
    print(f"{name}{', events on' if events else ''}: {row['rate'] / 1000:.1f} k expirations/s of "
          f"{options.keys / options.seconds / 1000:.1f} k/s that fell due, at most {gone.lag * 1000:.0f} ms behind"
          + (f", events at most {events.lag * 1000:.0f} ms" if events else "") + f", {row['cpu_us']:.1f} us CPU a key, all included")
    show("in a quiet time", quiet)
    show("meanwhile", busy)
    client.ok("CONFIG", "SET", "notify-keyspace-events", "")
    return row


def main():
    options = parse_arguments()
    context = new_context(options)
    results = {}
    try:
        servers = {"varve": context.server(**varve_settings(options))}
        if options.redis_server:
            servers["redis"] = context.redis(appendonly="no")
        for name, server in servers.items():
            server.start()
            with server.client() as client:
                client.pipeline([(b"SET", b"other:%d" % i, b"x" * 50) for i in range(OTHERS)])
            for with_events in (False, True):
                results[f"{name}{' events' if with_events else ''}"] = measure(name, server, options, with_events)
            server.stop()
    finally:
        context.close()
    print(write_json(options, "expiry", {"settings": vars(options), "results": results}))


if __name__ == "__main__":
    main()
