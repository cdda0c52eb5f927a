"""The commands about connections, messages, users and the server itself that diff.py draws, in the form of diff_families.py.

A command in a list of commands may be a Step, which says the connection it goes over.
"""

import typing

from diff_words import WORDS


class Step(typing.NamedTuple):
    """One command of a stream and the connection it goes over."""
    connection: int
    words: list


COMMANDS = [[b"get", b"a"], [b"set", b"a", b"1"], [b"mset", b"a", b"1", b"b", b"2"], [b"mset", b"a"], [b"nonsense"], [b"ping"], [b"get"],
            [b"config", b"get", b"x"],
            [b"zunionstore", b"d", b"2", b"a", b"b"], [b"zunionstore", b"d", b"9", b"a"], [b"zunionstore", b"d", b"x", b"a"],
            [b"sort", b"a", b"store", b"b"],
            [b"xread", b"count", b"1", b"streams", b"a", b"b", b"0", b"0"], [b"xread", b"streams"],
            [b"georadius", b"a", b"1", b"1", b"1", b"km", b"store", b"b"],
            [b"blmpop", b"0", b"2", b"a", b"b", b"left"], [b"lmpop", b"1", b"a", b"left"], [b"object", b"encoding", b"a"],
            [b"bitop", b"and", b"a", b"b", b"c"],
            [b"copy", b"a", b"b"], [b"set", b"a", b"1", b"get"], [b"set", b"a", b"1", b"ex", b"1"],
            [b"bitfield", b"a", b"get", b"u8", b"0"],
            [b"getex", b"b", b"persist"], [b"publish", b"news", b"x"], [b"subscribe", b"news", b"x"], [b"pfcount", b"a", b"b"],
            [b"memory", b"usage", b"a"],
            [b"xinfo", b"stream", b"a"], [b"rename", b"b", b"key:1"], [b"smove", b"a", b"b", b"c"], [b"client", b"list"],
            [b"pfmerge", b"a", b"b", b"c"], []]
SECTIONS = [b"server", b"clients", b"memory", b"stats", b"keyspace", b"commandstats", b"errorstats", b"latencystats", b"all",
            b"everything", b"default", b"x"]
SETTINGS = [b"hash-max-listpack-entries", b"hash-max-ziplist-entries", b"hash-max-listpack-value", b"set-max-intset-entries",
            b"zset-max-listpack-entries",
            b"zset-max-listpack-value", b"hll-sparse-max-bytes", b"slowlog-max-len", b"latency-monitor-threshold", b"acllog-max-len"]
# Plain commands that are drawn too seldom to meet each in a short run: some streams begin with all of them. MODULE LOAD comes only so:
# Redis refuses it before it looks at users and MULTI, varve when it runs.
TOUR = [line.encode().split() for line in (
    "ACL HELP,CLIENT HELP,CLUSTER HELP,COMMAND HELP,CONFIG HELP,LATENCY HELP,MEMORY HELP,MODULE HELP,OBJECT HELP,PUBSUB HELP,SLOWLOG HELP,"
    "XINFO HELP,XINFO CONSUMERS none g,CLUSTER COUNTKEYSINSLOT 1,CLUSTER GETKEYSINSLOT 1 1,CLUSTER INFO,CLUSTER KEYSLOT a,CLUSTER LINKS,"
    "CLUSTER MYID,CLUSTER NODES,CLUSTER SHARDS,CLUSTER SLOTS,MODULE LIST,MODULE LOAD x,MODULE LOADEX x,MODULE UNLOAD x,READONLY,READWRITE,"
    "ASKING,ACL LOAD,ACL SAVE,CLIENT CACHING YES,CLIENT SETNAME n,CLIENT GETREDIR,CLIENT TRACKINGINFO,CLIENT ID,CLIENT INFO,CLIENT LIST,"
    "LATENCY GRAPH x,LATENCY HISTOGRAM,LATENCY LATEST,LATENCY DOCTOR,LATENCY HISTORY x,MEMORY DOCTOR,MEMORY MALLOC-STATS,MEMORY PURGE,"
    "MEMORY STATS,COMMAND,COMMAND COUNT,COMMAND LIST,COMMAND DOCS get,LOLWUT,LASTSAVE,TIME,ROLE,PFSELFTEST,SLOWLOG LEN,SLOWLOG GET,QUIT"
).split(",")]
# What the settings drawn come back to before each stream.
DEFAULTS = [[b"hash-max-listpack-entries", b"512"], [b"hash-max-listpack-value", b"64"], [b"set-max-intset-entries", b"512"],
            [b"zset-max-listpack-entries", b"128"], [b"zset-max-listpack-value", b"64"], [b"hll-sparse-max-bytes", b"3000"],
            [b"slowlog-max-len", b"128"], [b"slowlog-log-slower-than", b"10000"], [b"latency-monitor-threshold", b"0"],
            [b"acllog-max-len", b"128"], [b"notify-keyspace-events", b""], [b"acl-pubsub-default", b"resetchannels"]]


def watched(m, then):
    """WATCH, something between, and an EXEC that may not do it."""
    return [Step(0, [b"WATCH"] + m.some(m.key, 1, 2)), Step(m.one([0, 1, 1]), then), Step(0, [b"MULTI"]),
            Step(0, [b"SET", m.key(), m.value()]),
            Step(0, m.one([[b"EXEC"], [b"EXEC"], [b"UNWATCH"], [b"DISCARD"]]))]


def subscribed(m):
    """Messages from the other connection; then it is over."""
    return [Step(0, [b"SUBSCRIBE"] + m.some(m.channel, 1, 3)), Step(0, [b"PSUBSCRIBE"] + m.some(m.pattern, 1, 2)),
            Step(1, [b"PUBLISH", m.channel(), m.value()]),
            Step(1, [b"PUBSUB"] + m.one([[b"NUMSUB"] + m.some(m.channel, 0, 3), [b"NUMPAT"], [b"CHANNELS"], [b"CHANNELS", m.pattern()]])),
            Step(0, m.one([[b"PING"], [b"PING", b"x"], [b"GET", b"a"], [b"RESET"], [b"UNSUBSCRIBE", b"news"]])),
            Step(0, [b"UNSUBSCRIBE"]), Step(0, [b"PUNSUBSCRIBE"])]


def as_user(m, words):
    """The other connection becomes a user and tries something."""
    return [Step(1, [b"AUTH", m.user(), m.one([b"secret", b"other"])]), Step(1, words), Step(1, [b"ACL", b"WHOAMI"]), Step(1, [b"RESET"]),
            Step(1, [b"AUTH", b"default", b""])]


SERVER = {
    "transactions": [
        lambda m: [b"MULTI"], lambda m: [b"EXEC"], lambda m: [b"EXEC"], lambda m: [b"DISCARD"], lambda m: [b"UNWATCH"],
        lambda m: [b"WATCH"] + m.some(m.key), lambda m: watched(m, [b"SET", m.key(), m.value()]), lambda m: watched(m, [b"DEL", m.key()]),
        lambda m: watched(m, m.one([[b"FLUSHALL"], [b"PING"], [b"SWAPDB", b"0", b"1"], [b"PEXPIREAT", m.key(), b"1"],
                                    [b"EXPIRE", m.key(), m.seconds()],
                                    [b"SET", m.key(), b"x", b"NX"], [b"RENAME", m.key(), m.key()], [b"LPUSH", m.key(), b"x"],
                                    [b"TOUCH", m.key()]])),
        lambda m: [[b"MULTI"], [b"SET", m.key(), m.value()], [b"INCR", m.key()], m.one([[b"GET"], [b"nonsense"], [b"GET", m.key()]]),
                   [b"EXEC"]],
        # No timeout of 0: a connection that was closed meanwhile has no MULTI any more.
        lambda m: [[b"MULTI"], [b"BLPOP", m.key(), b"1"], [b"LPUSH", m.key(), m.value()], [b"BLMPOP", b"1", b"1", m.key(), b"LEFT"],
                   [b"BZPOPMIN", m.key(), b"1"], [b"EXEC"]],
        lambda m: [[b"MULTI"], m.one([[b"WATCH", b"a"], [b"MULTI"], [b"SELECT", b"1"], [b"HELLO", b"3"], [b"RESET"],
                                      [b"MOVE", b"a", b"1"]]),
                   [b"HGETALL", m.key()], [b"SMEMBERS", m.key()], [b"EXEC"]],
    ],
    "messages": [
        subscribed, subscribed, lambda m: [b"PUBLISH", m.channel(), m.value()], lambda m: [b"SPUBLISH", m.channel(), m.value()],
        lambda m: [Step(0, [b"SSUBSCRIBE"] + m.some(m.channel, 1, 2)), Step(1, [b"SPUBLISH", m.channel(), m.value()]),
                   Step(1, [b"PUBSUB", b"SHARDNUMSUB"] + m.some(m.channel, 0, 2)),
                   Step(1, [b"PUBSUB", b"SHARDCHANNELS"] + m.some(m.pattern, 0, 1)),
                   Step(0, [b"SUNSUBSCRIBE"] + m.some(m.channel, 0, 1)), Step(0, [b"SUNSUBSCRIBE"])],
        lambda m: [m.one([b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"])] + m.some(m.channel, 0, 2),
        lambda m: [b"PUBSUB"] + m.one([[b"CHANNELS"], [b"NUMPAT", b"x"], [b"NUMSUB"], [b"x"], [b"HELP"], [b"CHANNELS", b"a", b"b"]]),
        lambda m: [[b"CONFIG", b"SET", b"notify-keyspace-events", m.one([b"KEA", b"AKE", b"K$", b"Elg", b"", b"KEAn", b"Km", b"x"])],
                   [b"CONFIG", b"GET", b"notify-keyspace-events"]],
        lambda m: [Step(0, [b"CONFIG", b"SET", b"notify-keyspace-events", m.one([b"KEA", b"KEA", b"Kg$l", b"KEAmn"])]),
                   Step(1, [b"PSUBSCRIBE", b"__key*"])]
        + [Step(0, w) for w in m.events()] + [Step(1, [b"PUNSUBSCRIBE"]), Step(0, [b"CONFIG", b"SET", b"notify-keyspace-events", b""])],
    ],
    "connection": [
        lambda m: [b"PING"] + m.some(m.value, 0, 2), lambda m: [b"ECHO", m.value()],
        lambda m: [b"QUIT"] if m.chance.random() < 0.2 else [b"PING"],
        lambda m: [b"HELLO"] + m.one([[], [b"2"], [b"3"], [b"3"], [b"4"], [b"x"], [b"3", b"x"], [b"3", b"SETNAME"],
                                      [b"2", b"SETNAME", b"n"], [b"3", b"SETNAME", b"a b"],
                                      [b"2", b"AUTH", b"alice", b"secret"], [b"3", b"AUTH", b"x", b"y"],
                                      [b"3", b"AUTH", b"default", b"", b"SETNAME", b"n"]]),
        lambda m: [b"AUTH"] + m.one([[b"x"], [b"default", b""], [m.user(), b"secret"], [m.user(), b"wrong"], [b"a", b"b", b"c"]]),
        lambda m: [b"RESET"],
        lambda m: [b"CLIENT"] + m.one([[b"GETNAME"], [b"SETNAME", m.one([b"n", b"a b", b"", b"\xff", b"x" * 100])], [b"NOSUCH"], [],
                                       [b"ID"], [b"INFO"],
                                       [b"NO-EVICT", m.one([b"on", b"OFF", b"x"])], [b"REPLY", m.one([b"ON", b"x"])], [b"GETREDIR"],
                                       [b"TRACKINGINFO"]]),
        lambda m: [b"CLIENT", b"KILL"] + m.one([[b"ID", m.one([b"x", b"0", b"99999999"])], [b"1.2.3.4:5"], [b"TYPE", b"x"],
                                                [b"TYPE", b"replica"], [b"x", b"y"],
                                                [b"USER", m.one([b"nobody", b"alice"])], [b"ADDR", b"1.2.3.4:5", b"LADDR", b"x"],
                                                [b"SKIPME", b"x"], []]),
        lambda m: [b"CLIENT", b"LIST"] + m.one([[], [b"TYPE", m.one([b"normal", b"pubsub", b"replica", b"x"])], [b"ID", b"0", b"99999999"],
                                                [b"ID", b"x"], [b"x"]]),
        lambda m: [b"CLIENT", b"UNBLOCK", m.one([b"0", b"99999999", b"x"])] + m.one([[], [b"TIMEOUT"], [b"error"], [b"x"]]),
        lambda m: [b"CLIENT", b"PAUSE"] + m.one([[b"1"], [b"1", b"WRITE"], [b"2", b"all"], [b"x"], [b"-1"], [b"1", b"x"]]),
        lambda m: [b"CLIENT", b"UNPAUSE"],
        lambda m: [b"CLIENT", b"CACHING", m.one([b"yes", b"no", b"x"])], lambda m: [m.one([b"READONLY", b"READWRITE", b"ASKING", b"ROLE"])],
        lambda m: [b"WAIT", m.one([b"0", b"1", b"x", b"-1"]), m.one([b"1", b"x", b"-1"])],
        lambda m: [m.one([b"NONSENSE", b"", b"G\x00T", b"get2", b"x" * 200])] + m.some(m.value, 0, 3),
        lambda m: [m.one([b"CLIENT", b"CONFIG", b"ACL", b"OBJECT", b"PUBSUB", b"XINFO", b"SLOWLOG", b"MEMORY", b"LATENCY", b"COMMAND",
                          b"CLUSTER", b"MODULE"]),
                   m.one([b"HELP", b"help", b"nonsense", b"x y"])],
        lambda m: [b"TIME"],
    ],
    "users": [
        lambda m: [b"ACL", b"SETUSER", m.user()] + m.some(m.rule, 0, 5),
        lambda m: [b"ACL", b"SETUSER", m.user(), b"on", b">secret", b"+@all", b"~*", b"&*"],
        lambda m: [b"ACL", b"SETUSER", m.user(), b"reset", b"on", b">secret"] + m.some(m.rule, 1, 4),
        lambda m: [b"ACL", b"GETUSER", m.one([m.user(), m.user(), b"default", b"x"])],
        lambda m: [b"ACL", b"DELUSER"] + m.some(m.user, 1, 2) if m.chance.random() < 0.3 else [b"ACL", b"USERS"],
        lambda m: [b"ACL", m.one([b"LIST", b"USERS", b"WHOAMI", b"x"])],
        lambda m: [b"ACL", b"CAT"] + m.one([[], [], [m.one([b"string", b"dangerous", b"nonsense", b"keyspace"])]]),
        lambda m: [b"ACL", b"DRYRUN", m.one([m.user(), m.user(), m.user(), b"default", b"x"])] + m.one(COMMANDS),
        lambda m: [b"ACL", b"DRYRUN", m.user()] + m.one(COMMANDS),
        lambda m: [b"ACL", b"GENPASS"] + m.one([[], [b"5"], [b"0"], [b"4096"], [b"5000"], [b"x"]]),
        lambda m: [b"ACL", b"LOG"] + m.one([[], [b"0"], [b"2"], [b"RESET"], [b"x"], [b"-1"]]),
        lambda m: [b"ACL", m.one([b"LOAD", b"SAVE"])],
        lambda m: as_user(m, m.one([w for w in COMMANDS if w and w[0] not in (b"blmpop", b"sort")])),
        lambda m: as_user(m, [b"SET", m.key(), m.value()]), lambda m: as_user(m, [b"SUBSCRIBE", m.channel()]),
        lambda m: as_user(m, m.one([[b"MGET", m.key(), m.key()], [b"RENAME", m.key(), m.key()],
                                    [b"SORT", b"sort:list", b"BY", b"w:*", b"ALPHA"], [b"PUBLISH", m.channel(), b"x"],
                                    [b"CONFIG", b"GET", b"timeout"], [b"SCAN", b"0", b"COUNT", b"1000"], [b"KEYS", b"*"],
                                    [b"ACL", b"GETUSER", b"alice"]])),
    ],
    "introspection": [
        lambda m: [b"OBJECT", m.one([b"ENCODING", b"REFCOUNT", b"IDLETIME", b"FREQ", b"x", b"HELP"])] + m.some(m.key, 0, 1),
        lambda m: [b"INFO"] + m.one([[], [m.one(SECTIONS)]]),
        lambda m: [b"MEMORY"] + m.one([[b"USAGE", m.key()], [b"USAGE", m.key(), b"SAMPLES", m.index()], [b"STATS"], [b"DOCTOR"],
                                       [b"MALLOC-STATS"], [b"PURGE"], [b"x"]]),
        lambda m: [b"SLOWLOG"] + m.one([[b"GET"], [b"GET", m.index()], [b"LEN"], [b"RESET"], [b"x"]]),
        lambda m: [[b"CONFIG", b"SET", b"slowlog-log-slower-than", m.one([b"0", b"-1", b"10000"])], [b"SLOWLOG", b"RESET"],
                   [b"SLOWLOG", b"LEN"]],
        lambda m: [b"LATENCY"] + m.one([[b"LATEST"], [b"HISTORY", m.one([b"command", b"x"])], [b"RESET"], [b"RESET", b"x"],
                                        [b"GRAPH", b"x"], [b"DOCTOR"],
                                        [b"HISTOGRAM", b"x"], [b"HISTOGRAM"], [b"x"]]),
        lambda m: [b"COMMAND"] + m.one([[b"INFO", m.one(COMMANDS[:5])[0]], [b"INFO", b"nonsense"], [b"COUNT"], [b"LIST"],
                                        [b"LIST", b"FILTERBY", b"PATTERN", b"z*pop*"],
                                        [b"LIST", b"FILTERBY", b"x", b"y"], [b"DOCS", b"get"], [b"DOCS", b"nonsense"], [b"x"]]),
        lambda m: [b"COMMAND", m.one([b"GETKEYS", b"GETKEYS", b"GETKEYSANDFLAGS"])] + m.one(COMMANDS),
        lambda m: [b"COMMAND"] if m.chance.random() < 0.05 else [b"LASTSAVE"],
        lambda m: [b"CONFIG", b"GET"] + m.some(lambda: m.one(SETTINGS + [b"nothing-like-it", b"*-listpack-e*"]), 0, 2),
        lambda m: [b"CONFIG", b"SET"] + m.flat(m.some(lambda: [m.one(SETTINGS),
                                                               m.one([b"0", b"1", b"2", b"5", b"64", b"512", b"-1", b"x"])], 0, 2)),
        lambda m: [b"CONFIG"] + m.one([[], [b"x"], [b"SET", b"slowlog-max-len"], [b"RESETSTAT", b"x"], [b"RESETSTAT"],
                                       [b"SET", b"nonsense", b"1"]]),
        lambda m: [b"CLUSTER"] + m.one([[b"INFO"], [b"SLOTS"], [b"MYID"], [b"NODES"], [b"SHARDS"], [b"LINKS"], [b"KEYSLOT", m.key()],
                                        [b"COUNTKEYSINSLOT", b"1"],
                                        [b"GETKEYSINSLOT", b"1", b"1"], [b"x"]]),
        lambda m: [b"MODULE"] + m.one([[b"LIST"], [b"x"]]),
        lambda m: [b"DEBUG"] + m.one([[b"SET-ACTIVE-EXPIRE", b"0"], [b"SLEEP", b"0"], [b"OBJECT", m.key()], [b"ERROR", b"ERR a b"],
                                      [b"x"]]),
        lambda m: [b"DEBUG", b"PROTOCOL", m.one([b"string", b"integer", b"double", b"null", b"array", b"set", b"map", b"verbatim", b"true",
                                                 b"false", b"bignum", b"x"])],
        lambda m: [b"LOLWUT"] + m.one([[], [b"VERSION", b"5"], [b"VERSION", b"x"], [b"x"]]),
        lambda m: [m.one(WORDS)] + m.some(m.value, 0, 2),
    ],
}
