"""Data many times larger than maxmemory: loads, reads back right, and the resident memory stays bounded."""

import hashlib
import os
import random
import subprocess

from harness import check, check_equal, test

VALUE = 1000


class Cgroup:
    """A memory limit for one process, by whichever hierarchy this machine has; None where neither can be had."""

    @staticmethod
    def create(name, limit):
        for parent, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
            folder = os.path.join(parent, name)
            try:
                if file == "memory.max" and not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
                    continue
                os.mkdir(folder)
            except OSError:
                continue
            try:
                with open(os.path.join(folder, file), "w", encoding="ascii") as f:
                    f.write(str(limit))
                return Cgroup(folder)
            except OSError:
                os.rmdir(folder)
        return None

    def __init__(self, folder):
        self.folder = folder

    def enter(self):
        with open(os.path.join(self.folder, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write("0")

    def remove(self):
        try:
            os.rmdir(self.folder)
        except OSError:
            pass


def value_of(index, generation):
    seed = hashlib.blake2b(b"%d %d" % (index, generation), digest_size=32).hexdigest().encode()
    return (seed * (VALUE // len(seed) + 1))[: VALUE // 2] + random.Random(index * 3 + generation).randbytes(VALUE // 2)


def device_reads(directory):
    """Sectors read so far by the device under the directory, from /proc/diskstats; 0 where it cannot be told."""
    device = os.stat(directory).st_dev
    with open("/proc/diskstats", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if (int(words[0]), int(words[1])) == (os.major(device), os.minor(device)):
                return int(words[5])
    return 0


@test
def larger_than_memory(t):
    t.only_varve()
    megabytes, data = (200, 2000 << 20) if t.options.full else (64, 400 << 20)
    limit = megabytes << 20
    count = data // VALUE
    group = Cgroup.create(f"varve-test-{os.getpid()}", limit * 5 // 4)
    if group is not None:
        t.cleanups.append(group.remove)
    server = t.server(maxmemory=f"{megabytes}mb", debug_random_miss="0").start(before=group.enter if group else None)
    peak = 0
    chance = random.Random(t.options.seed)
    overwritten = set()
    with server.client() as client:
        def write(pairs):
            nonlocal peak
            replies = client.pipeline([("SET", b"key:%010d" % i, value_of(i, g)) for i, g in pairs])
            check_equal(set(replies), {"OK"}, "replies")
            peak = max(peak, server.resident_bytes())

        for start in range(0, count, 500):
            write([((i * 7919) % count, 0) for i in range(start, min(start + 500, count))])
            if start % 5000 == 0:
                some = [chance.randrange(count) for _ in range(100)]
                overwritten.update(some)
        some = sorted(overwritten)
        for start in range(0, len(some), 500):
            write([(i, 1) for i in some[start : start + 500]])
        sectors = device_reads(server.directory)
        reads = count if t.options.full else count // 4
        for _ in range(0, reads, 200):
            some = [chance.randrange(count) for _ in range(200)]
            for i, value in zip(some, client.pipeline([("GET", b"key:%010d" % i) for i in some])):
                check(value == value_of(i, int(i in overwritten)), f"key {i}: {value!r:.80}")
            peak = max(peak, server.resident_bytes())
        sectors = device_reads(server.directory) - sectors
        keys = client.scan("COUNT", 1000)
        peak = max(peak, server.resident_bytes())
        check_equal(len(keys), count, "keys of a full SCAN")
        check_equal(len(set(keys)), count, "different keys of a full SCAN")
    disk = int(subprocess.run(["du", "-sb", server.directory], capture_output=True, check=True).stdout.split()[0])
    print(f"         larger_than_memory: {data >> 20} MB against {megabytes} MB{' in a cgroup' if group else ''}, "
          f"resident at most {peak / limit:.2f} of maxmemory, on disk {disk / data:.2f} of the data, "
          f"{sectors / 2048:.0f} MB read from the device for {reads} random GETs")
    check(peak <= limit * 1.1, f"resident {peak >> 20} MB with maxmemory {megabytes} MB")
    server.stop()
