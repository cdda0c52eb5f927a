"""Real data: Debian's own package index, one key per package, in varve and in redis-server side by side."""

import shutil

from harness import Skip, check, check_equal, encode, test


def read_index(t):
    """[(key, stanza)] in the order of the index; a package listed twice comes twice, the later one counts."""
    if shutil.which("apt-cache") is None:
        raise Skip("there is no apt-cache")
    out, _ = t.run(["apt-cache", "dumpavail"])
    pairs = []
    for stanza in out.split("\n\n"):
        name = stanza.partition("\n")[0]
        if name.startswith("Package: "):
            pairs.append(("package:" + name[len("Package: "):], stanza.encode()))
    if len(pairs) < 1000:
        raise Skip("there is no package index: apt-get update")
    return pairs


def compare(server, redis, expected):
    """All values by GET, and the key set by a full SCAN, in both."""
    names = sorted(expected)
    with server.client() as ours, redis.client() as theirs:
        check_equal(ours.ok("DBSIZE"), len(expected), "DBSIZE")
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            request = [("GET", name) for name in some]
            for name, a, b in zip(some, ours.pipeline(request), theirs.pipeline(request)):
                check(a == b == expected[name], f"{name}: {a!r:.100} here, {b!r:.100} in Redis")
        keys = ours.scan("COUNT", 1000)
        check_equal(len(keys), len(set(keys)), "keys of a SCAN without repetitions")
        check(set(keys) == set(theirs.scan("COUNT", 1000)), "the two SCANs differ")
        check_equal(sorted(keys), [name.encode() for name in names], "keys of the SCAN")
        prefix = [k for k in keys if k.startswith(b"package:lib")]
        check_equal(sorted(ours.scan("MATCH", "package:lib*", "COUNT", 1000)), sorted(prefix), "SCAN of a prefix")


@test
def package_index(t):
    pairs = read_index(t)
    expected = dict(pairs)
    commands = b"".join(encode("SET", key, stanza) for key, stanza in pairs)
    server, redis = t.server().start(), t.redis().start()
    for one in (server, redis):
        out, err = one.cli("--pipe", stdin=commands, timeout=300)
        check(f"errors: 0, replies: {len(pairs)}" in out, f"redis-cli --pipe said: {out}{err}")
    compare(server, redis, expected)
    server.kill()
    server.start()
    compare(server, redis, expected)
    print(f"         package_index: {len(expected)} packages, {sum(map(len, expected.values())) >> 20} MB")
    server.stop()
