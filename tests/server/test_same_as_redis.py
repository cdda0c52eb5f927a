"""The same random commands to varve and to redis-server: every reply must be the same, byte for byte."""

import random

from harness import ReplyError, check, encode, shorten, test

KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"k\x00\xff", b"", b"long" * 50]
NUMBERS = [b"0", b"1", b"-1", b"2", b"7", b"10", b"100", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808"]
FLOATS = [b"0.5", b"-2.25", b"3e2", b"1e400", b"nan", b"inf", b"0x1p3", b" 1", b"1 ", b"3.0e0"]
WORDS = [b"", b"x", b"value", b"NX", b"007", b"+1", b"1.0", b"\x00", b"v" * 100, b"w" * 5000, b"{not a number}"]
# Far enough away that no test lives to see them.
FUTURE_S = [b"4000000000", b"4100000000"]
FUTURE_MS = [b"4000000000000", b"4100000000123"]
LONG = [b"100000", b"100001", b"200000"]


# Fields and members; together they exceed what counts as small.
MEMBERS = [b"a", b"b", b"1", b"2", b"-3", b"07", b"", b"m" * 70, b"\x00\xff"]
SCORES = [b"0", b"-0", b"1", b"2", b"2.5", b"-3", b"1e17", b"0.1", b"inf", b"-inf", b"-1.5e-9", b"123456789012345678"]
# What a family of commands draws from, beside Maker's own: name -> functions that make one command.
FAMILIES = {
    "hash": [
        lambda m: [m.one([b"HSET", b"HSET", b"HMSET"]), m.key()] + m.flat(m.some(lambda: [m.member(), m.value()])),
        lambda m: [b"HSET", m.key()] + m.some(m.member), lambda m: [b"HSETNX", m.key(), m.member(), m.value()],
        lambda m: [b"HGET", m.key(), m.member()], lambda m: [b"HMGET", m.key()] + m.some(m.member),
        lambda m: [m.one([b"HGETALL", b"HKEYS", b"HVALS", b"HLEN"]), m.key()],
        lambda m: [b"HDEL", m.key()] + m.some(m.member, 1, 6), lambda m: [b"HSTRLEN", m.key(), m.member()],
        lambda m: [b"HEXISTS", m.key(), m.member()], lambda m: [b"HINCRBY", m.key(), m.member(), m.number()],
        lambda m: [b"HINCRBYFLOAT", m.key(), m.member(), m.one(FLOATS + NUMBERS)],
        lambda m: [b"HSCAN", m.key(), m.one([b"0", b"0", b"x"])] + m.scan_options(),
        lambda m: [b"HRANDFIELD", m.key(), m.one([b"0", b"100000", b"x", b"9223372036854775807"])] + m.one([[], [b"WITHVALUES"], [b"x"]]),
    ],
    "set": [
        lambda m: [b"SADD", m.key()] + m.some(m.member, 1, 6), lambda m: [b"SREM", m.key()] + m.some(m.member, 1, 6),
        lambda m: [b"SISMEMBER", m.key(), m.member()], lambda m: [b"SMISMEMBER", m.key()] + m.some(m.member),
        lambda m: [m.one([b"SMEMBERS", b"SCARD"]), m.key()], lambda m: [b"SMOVE", m.key(), m.key(), m.member()],
        lambda m: [b"SPOP", m.key(), m.one([b"0", b"100000", b"x", b"-1"])],  # what it leaves must be the same
        lambda m: [b"SRANDMEMBER", m.key(), m.one([b"0", b"100000", b"x"])],
        lambda m: [m.one([b"SINTER", b"SUNION", b"SDIFF"])] + m.some(m.key),
        lambda m: [m.one([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), m.key()] + m.some(m.key),
        lambda m: [b"SINTERCARD", m.one([b"1", b"2", b"0", b"x"])] + m.some(m.key, 1, 3) + m.one([[], [b"LIMIT", m.number()], [b"x"]]),
        lambda m: [b"SSCAN", m.key(), m.one([b"0", b"0", b"x"])] + m.scan_options(),
    ],
    "list": [
        lambda m: [m.one([b"LPUSH", b"RPUSH"]), m.key()] + m.some(m.member, 1, 6), lambda m: [m.one([b"LPUSHX", b"RPUSHX"]), m.key(), m.value()],
        lambda m: [m.one([b"LPOP", b"RPOP"]), m.key()] + m.one([[], [], [b"0"], [b"2"], [b"x"], [b"-1"], [m.number()]]),
        lambda m: [b"LRANGE", m.key(), m.index(), m.index()], lambda m: [b"LLEN", m.key()], lambda m: [b"LINDEX", m.key(), m.index()],
        lambda m: [b"LSET", m.key(), m.index(), m.value()],
        lambda m: [b"LINSERT", m.key(), m.one([b"BEFORE", b"after", b"x"]), m.member(), m.member()],
        lambda m: [b"LREM", m.key(), m.index(), m.member()],
        lambda m: [b"LTRIM", m.key()] + m.one([[b"0", b"-1"], [b"1", b"-1"], [b"0", b"-2"], [m.index(), m.index()]]),
        lambda m: [b"LPOS", m.key(), m.member()] + m.flat(m.some(lambda: [m.one([b"RANK", b"COUNT", b"MAXLEN", b"x"]), m.index()], 0, 3)),
        lambda m: [b"LMOVE", m.key(), m.key(), m.one([b"LEFT", b"right", b"x"]), m.one([b"RIGHT", b"left"])],
        lambda m: [b"RPOPLPUSH", m.key(), m.key()],
        lambda m: [b"LMPOP", m.one([b"1", b"2", b"0", b"x"])] + m.some(m.key, 1, 3) + [m.one([b"LEFT", b"RIGHT", b"x"])]
        + m.one([[], [b"COUNT", m.index()], [b"x"]]),
        # Blocking ones that find nothing are over soon, and not too many; never 0, which means for ever.
        lambda m: m.one([[m.one([b"BLPOP", b"BRPOP"])] + m.some(m.key, 1, 3) + [m.timeout()],
                         [b"BLMOVE", m.key(), m.key(), m.one([b"LEFT", b"x"]), m.one([b"RIGHT", b"left"]), m.timeout()],
                         [b"BRPOPLPUSH", m.key(), m.key(), m.timeout()],
                         [b"BLMPOP", m.timeout(), m.one([b"1", b"2", b"0", b"x"])] + m.some(m.key, 1, 3) + [m.one([b"LEFT", b"RIGHT", b"x"])]
                         + m.one([[], [b"COUNT", m.index()]])]),
    ],
    "zset": [
        lambda m: [b"ZADD", m.key()] + m.add_options() + m.flat(m.some(lambda: [m.score(), m.member()])),
        lambda m: [b"ZADD", m.key()] + m.flat(m.some(lambda: [m.score(), m.member()], 1, 6)),
        lambda m: [b"ZADD", m.key()] + m.some(m.member), lambda m: [b"ZINCRBY", m.key(), m.score(), m.member()],
        lambda m: [b"ZREM", m.key()] + m.some(m.member), lambda m: [b"ZCARD", m.key()], lambda m: [b"ZSCORE", m.key(), m.member()],
        lambda m: [b"ZMSCORE", m.key()] + m.some(m.member),
        lambda m: [m.one([b"ZCOUNT", b"ZREMRANGEBYSCORE"]), m.key(), m.score_bound(), m.score_bound()],
        lambda m: [b"ZREMRANGEBYRANK", m.key(), m.rank(), m.rank()],
        lambda m: [b"ZRANGE", m.key(), m.rank(), m.rank()] + m.range_options(), lambda m: [b"ZREVRANGE", m.key(), m.rank(), m.rank()] + m.range_options(),
        lambda m: [b"ZRANGE", m.key(), m.score_bound(), m.score_bound(), b"BYSCORE"] + m.range_options(),
        lambda m: [m.one([b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"]), m.key(), m.score_bound(), m.score_bound()] + m.range_options(),
        lambda m: [b"ZRANGESTORE", m.key(), m.key(), m.rank(), m.rank()] + m.one([[], [b"REV"], [b"BYSCORE"], [b"LIMIT", b"0", b"1"]]),
        lambda m: [b"ZRANGESTORE", m.key(), m.key(), m.score_bound(), m.score_bound(), b"BYSCORE"] + m.one([[], [b"REV"], [b"LIMIT", b"0", b"2"]]),
        lambda m: [m.one([b"ZPOPMIN", b"ZPOPMAX"]), m.key()] + m.one([[], [], [b"0"], [b"2"], [b"-1"], [b"x"], [b"100000"]]),
        lambda m: [b"ZMPOP", m.one([b"1", b"2", b"2", b"0", b"x"])] + m.some(m.key, 1, 2) + [m.one([b"MIN", b"MAX", b"max", b"x"])]
        + m.one([[], [], [b"COUNT", b"2"], [b"COUNT", b"0"], [b"COUNT", b"1", b"COUNT", b"1"], [b"COUNT"]]),
        lambda m: [b"ZRANDMEMBER", m.key(), m.one([b"0", b"100000", b"x", b"9223372036854775807"])] + m.one([[], [b"WITHSCORES"], [b"x"]]),
        lambda m: [b"ZSCAN", m.key(), m.one([b"0", b"0", b"x"])] + m.scan_options(),
        lambda m: [m.one([b"ZUNION", b"ZINTER", b"ZDIFF"])] + m.counted_keys() + m.algebra_options(),
        lambda m: [m.one([b"ZUNIONSTORE", b"ZINTERSTORE", b"ZDIFFSTORE"]), m.key()] + m.counted_keys() + m.algebra_options(),
        lambda m: [b"ZINTERCARD"] + m.counted_keys() + m.one([[], [], [b"LIMIT", m.number()], [b"x"]]),
    ],
    "zset by name": [  # on keys of their own, whose members all have one score: else the order is nobody's promise
        lambda m: [b"ZADD", m.name_key()] + m.flat(m.some(lambda: [b"0", m.member()], 1, 6)), lambda m: [b"ZREM", m.name_key(), m.member()],
        lambda m: [m.one([b"ZLEXCOUNT", b"ZREMRANGEBYLEX"]), m.name_key(), m.name_bound(), m.name_bound()],
        lambda m: [m.one([b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"]), m.name_key(), m.name_bound(), m.name_bound()] + m.range_options(),
        lambda m: [b"ZRANGE", m.name_key(), m.name_bound(), m.name_bound(), b"BYLEX"] + m.range_options(),
        lambda m: [m.one([b"ZRANK", b"ZREVRANK"]), m.one([m.key(), m.name_key()]), m.member()],
    ],
    "bits": [
        lambda m: [b"SETBIT", m.key(), m.bit(), m.one([b"0", b"1", b"1", b"1", b"2", b"x"])], lambda m: [b"GETBIT", m.key(), m.bit()],
        lambda m: [b"SETBIT", m.key(), m.bit(), m.one([b"0", b"1"])],
        lambda m: [b"BITCOUNT", m.key()] + m.bit_range(), lambda m: [b"BITPOS", m.key(), m.one([b"0", b"1", b"1", b"0", b"2", b"x"])] + m.bit_range(),
        lambda m: [b"BITOP", m.one([b"AND", b"or", b"XOR", b"x"]), m.key()] + m.some(m.key), lambda m: [b"BITOP", b"NOT", m.key()] + m.some(m.key, 1, 2),
        lambda m: [b"BITFIELD", m.key()] + m.flat(m.some(m.field_operation, 0, 4)),
        lambda m: [b"BITFIELD", m.key()] + m.flat(m.some(m.field_operation, 1, 2)),
        lambda m: [b"BITFIELD_RO", m.key()] + m.flat(m.some(lambda: [b"GET", m.field_type(), m.bit()], 0, 3)), lambda m: [b"BITFIELD_RO", m.key()] + m.field_operation(),
        lambda m: [b"LCS", m.text_key(), m.text_key()]
        + m.flat(m.some(lambda: m.one([[b"LEN"], [b"IDX"], [b"IDX"], [b"WITHMATCHLEN"], [b"MINMATCHLEN", m.index()], [b"x"]]), 0, 3)),
        lambda m: [b"SET", m.text_key(), bytes(m.chance.choices(b"\x00\xff\x81abc", k=m.one([1, 8, 30, 63, 64, 65, 300])))],
        lambda m: [b"SET", m.key(), bytes(m.chance.choices(b"\x00\xff\x81abc", k=m.one([1, 8, 43, 44, 45, 100, 4097])))],
    ],
    "hyperloglog": [  # elements to keys of their own: what SETRANGE makes of others is no HyperLogLog any more, and what that gives is chance
        lambda m: [b"PFADD", m.hll_key()] + m.some(m.member, 0, 6), lambda m: [b"PFADD", m.hll_key()] + m.many(m.one([1, 1, 3, 30, 300, 1500])),
        lambda m: [b"PFADD", m.key()], lambda m: [b"PFCOUNT", m.one([m.hll_key(), m.hll_key(), m.key()])], lambda m: [b"PFCOUNT"] + m.some(m.hll_key, 1, 3),
        lambda m: [b"PFMERGE", m.hll_key()] + m.some(m.hll_key, 0, 3) + m.one([[], [], [m.key()]]), lambda m: [b"OBJECT", b"ENCODING", m.hll_key()],
        lambda m: [b"PFDEBUG", m.one([b"ENCODING", b"decode", b"DECODE", b"x"]), m.one([m.hll_key(), m.key()])], lambda m: [b"GET", m.hll_key()],
        lambda m: [m.one([b"PFDEBUG", b"DEL"])] + m.one([[b"TODENSE"], []]) + [m.hll_key()],
        lambda m: [b"SET", m.hll_key(), b"HYLL" + m.one([b"\x00" + bytes(11 + 12288), b"\x01" + bytes(11) + b"\x7f\xff", b"\x01" + bytes(10) + b"\x80\x7f\xfe\x80",
                                                                   b"\x01" + bytes(11), b"\x02" + bytes(11), b"\x01" + bytes(10) + b"\x80\x7f\xff\x80", b"\x01"])],
    ],
    "geo": [
        lambda m: [b"GEOADD", m.geo_key()] + m.one([[], [], [], [b"NX"], [b"xx"], [b"CH"], [b"NX", b"XX"]]) + m.flat(m.some(lambda: m.point() + [m.place()])),
        lambda m: [b"GEOADD", m.geo_key()] + m.flat(m.some(lambda: m.point() + [m.place()], 1, 8)), lambda m: [b"GEOADD", m.key()] + m.point() + [m.place()],
        lambda m: [b"GEODIST", m.geo_key(), m.place(), m.place()] + m.one([[], [], [m.unit()], [m.unit()], [m.unit(), b"x"]]),
        lambda m: [m.one([b"GEOHASH", b"GEOPOS"]), m.one([m.geo_key(), m.geo_key(), m.key()])] + m.some(m.place, 0, 4),
        lambda m: [b"ZADD", m.geo_key(), m.score(), m.place()], lambda m: [b"ZREM", m.geo_key()] + m.some(m.place), lambda m: [b"ZRANGE", m.geo_key(), b"0", b"-1", b"WITHSCORES"],
        lambda m: [m.one([b"GEORADIUS", b"GEORADIUS_RO"]), m.geo_key()] + m.point() + [m.length(), m.unit()] + m.geo_options(),
        lambda m: [m.one([b"GEORADIUSBYMEMBER", b"GEORADIUSBYMEMBER_RO"]), m.one([m.geo_key(), m.geo_key(), m.key()]), m.place(), m.length(), m.unit()] + m.geo_options(),
        lambda m: [b"GEOSEARCH", m.one([m.geo_key(), m.geo_key(), m.key()])] + m.geo_shape() + m.geo_options(),
        lambda m: [b"GEOSEARCHSTORE", m.one([m.geo_key(), m.key()]), m.geo_key()] + m.geo_shape() + m.geo_options(),
        lambda m: [b"GEOSEARCH", m.geo_key(), b"FROMLONLAT"] + m.point() + [b"BYBOX", m.length(), m.length(), m.unit()] + m.geo_options(),
        lambda m: [b"GEOSEARCH", m.geo_key(), b"FROMMEMBER", m.place(), b"BYRADIUS", m.length(), m.unit()] + m.geo_options(),
        lambda m: [b"GEOSEARCHSTORE", m.geo_key(), m.geo_key(), b"FROMMEMBER", m.place(), b"BYRADIUS", m.length(), m.unit()] + m.one([[], [b"STOREDIST"]]),
    ],
    "stream": [
        lambda m: [b"XADD", m.stream_key()] + m.trim_options() + [m.entry_id()] + m.flat(m.some(lambda: [m.member(), m.value()])),
        lambda m: [b"XADD", m.stream_key()] + m.one([[], [], m.trim_options(True)]) + [m.next_id()]
        + m.flat(m.some(lambda: [m.one([b"f", b"g"]), m.value()], 1, 2)),
        lambda m: [b"XADD", m.one([m.key(), m.stream_key()]), m.next_id(), m.member(), m.value()], lambda m: [b"XLEN", m.stream_key()],
        lambda m: [m.one([b"XRANGE", b"XREVRANGE"]), m.stream_key(), m.id_bound(), m.id_bound()] + m.one([[], [], [b"COUNT", m.index()], [b"x"]]),
        lambda m: [b"XDEL", m.stream_key()] + m.some(m.entry_id, 1, 5),
        lambda m: [b"XTRIM", m.stream_key()] + m.trim_options(m.one([True, True, False])),
        lambda m: [b"XREAD"] + m.one([[], [], [b"COUNT", m.index()], [b"BLOCK", b"1"], [b"BLOCK", b"-1"], [b"NOACK"]])
        + m.one([[b"STREAMS", m.stream_key(), m.read_id()], [b"STREAMS", m.stream_key(), m.key(), m.read_id(), m.read_id()]]),
        lambda m: [b"XSETID", m.stream_key(), m.next_id()] + m.one([[], [], [b"ENTRIESADDED", m.index()], [b"MAXDELETEDID", m.entry_id()]]),
        lambda m: [b"XINFO", b"STREAM", m.stream_key()] + m.one([[], [], [b"FULL"], [b"FULL", b"COUNT", m.index()], [b"x"]]),
        lambda m: [b"XINFO", m.one([b"GROUPS", b"x", b"STREAM"]), m.key()],
    ],
    "sort": [  # on keys of their own: it makes the large encoding of a sorted set, which varve does not
        lambda m: [b"RPUSH", b"sort:list"] + m.some(m.sortable, 1, 4), lambda m: [b"LTRIM", b"sort:list", b"-30", b"-1"],
        lambda m: [b"SADD", b"sort:set"] + m.some(m.sortable, 1, 4), lambda m: [b"SPOP", b"sort:set", b"100000"],
        lambda m: [b"ZADD", b"sort:zset", m.one(SCORES[2:]), m.sortable()], lambda m: [b"ZREMRANGEBYRANK", b"sort:zset", b"5", b"-1"],
        lambda m: [b"SET", b"w:" + m.sortable(), m.sortable()], lambda m: [b"HSET", b"h:" + m.sortable(), b"f", m.sortable()],
        lambda m: [m.one([b"SORT", b"SORT", b"SORT_RO"]), m.sort_key()] + m.sort_options(),
        lambda m: [b"SORT", m.sort_key()] + m.sort_options() + [b"STORE", m.one([b"sort:list", b"sort:out"])],
        lambda m: [m.one([b"LRANGE"]), m.one([b"sort:list", b"sort:out"]), b"0", b"-1"],
    ],
    "encoding": [lambda m: [b"OBJECT", b"ENCODING", m.key()]],
}
# Compared for themselves: Redis's SORT takes numbers for too large when an earlier command has met one that was (a stale errno).
APART = {"sort"}
# Replies whose elements come in an order of the server's own.
UNORDERED = {b"HKEYS", b"HVALS", b"HGETALL", b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP", b"SRANDMEMBER", b"HRANDFIELD", b"HSCAN",
             b"SSCAN", b"SCAN", b"KEYS", b"ZSCAN", b"ZRANDMEMBER"}
# Take arguments that they do not take in Redis 7.0.
NEWER = {b"ZRANK", b"ZREVRANK"}


class Maker:
    """Draws commands: mostly well formed, some not. `only`: of one family."""

    def __init__(self, chance, only=None):
        self.chance = chance
        self.only = only

    def one(self, options):
        return self.chance.choice(options)

    def key(self):
        return self.one(KEYS)

    def member(self):
        return self.one(MEMBERS)

    def index(self):
        return self.one([b"0", b"1", b"2", b"5", b"-1", b"-2", b"-5", self.number()])

    def timeout(self):
        return self.one([b"0.001", b"0.001", b"0.0015", b"-1", b"x", b"1e400", b"nan"])

    def flat(self, lists):
        return [word for words in lists for word in words]

    def scan_options(self):
        return self.one([[b"COUNT", b"100000"], [b"COUNT", b"100000", b"MATCH", b"m*"], [b"COUNT", b"0"], [b"COUNT", b"x"], [b"x"],
                         [b"TYPE", b"set", b"COUNT", b"100000"]])

    def stream_key(self):
        return self.one([b"stream:1", b"stream:1", b"stream:2", b"stream:2", self.key()])

    def next_id(self):
        """Mostly an id behind those before."""
        self.ms = getattr(self, "ms", 0) + self.chance.choice([0, 0, 1, 1, 5])
        return self.one([b"%d-*" % self.ms] * 6 + [b"%d-%d" % (self.ms, self.chance.randrange(500)), b"%d" % self.ms])

    def entry_id(self):
        near = b"%d-%d" % (max(0, getattr(self, "ms", 0) - self.chance.randrange(20)), self.chance.choice([0, 0, 1, 2, 7]))
        return self.one([near] * 6 + [b"0", b"0-0", b"1-1", b"x", b"1-x", b"5-*", b"-", b"+", self.number()])

    def id_bound(self):
        return self.one([b"-", b"+", self.entry_id(), self.entry_id(), b"(" + self.entry_id()])

    def read_id(self):
        return self.one([b"0", b"$", b">", self.entry_id(), self.entry_id()])

    def trim_options(self, valid=False):
        kind = self.one([[b"MAXLEN", self.one([b"0", b"3", b"90", b"150", b"250", b"400"])], [b"MINID", self.entry_id()]])
        kind = kind[:1] + self.one([[], [b"="], [b"~"], [b"~"]]) + kind[1:]
        limit = self.one([[], [], [b"LIMIT", self.one([b"0", b"5", b"100", b"150", b"-1", b"x"])]])
        if valid:
            return kind + (limit if b"~" in kind else [])
        return self.flat(self.chance.sample([kind, limit, [b"NOMKSTREAM"], [b"x"]], self.chance.choice([0, 1, 1, 2])))

    def sortable(self):
        return self.one([b"1", b"2", b"10", b"-3", b"2.5", b"07", b"1e2", b"", b" 4", b"0x1f"] + [b"word"] * (self.chance.random() < 0.05))

    def sort_key(self):
        return self.one([b"sort:list", b"sort:list", b"sort:set", b"sort:zset", b"w:1", b"none"])

    def sort_options(self):
        by = self.one([b"w:*", b"w:*", b"h:*->f", b"h:*->g", b"*"])
        # With ALPHA what weighs the same comes in no order that anyone promises; unsorted sets neither.
        parts = [[b"BY", by], [b"LIMIT", self.one([b"0", b"1", b"-1"]), self.one([b"2", b"5", b"-1", b"0"])], [self.one([b"DESC", b"ASC"])],
                 [b"GET", self.one([b"#", b"w:*", b"h:*->f", b"nothing"])], [b"GET", b"#"], [b"x"] if self.chance.random() < 0.1 else []]
        return self.flat(self.chance.sample(parts, self.chance.choice([0, 1, 2, 3]))) if self.chance.random() < 0.7 else \
            self.one([[b"ALPHA"], [b"ALPHA", b"DESC", b"LIMIT", b"1", b"3"], [b"ALPHA", b"GET", b"w:*"]])

    def name_key(self):
        return self.one([b"names:1", b"names:2"])

    def score(self):
        return self.one(self.one([SCORES, SCORES, FLOATS, NUMBERS]))

    def score_bound(self):
        return self.one([b"", b"", b"("]) + self.one(self.one([SCORES, SCORES, FLOATS, WORDS[:5]]))

    def name_bound(self):
        return self.one([b"-", b"+", b"[" + self.member(), b"(" + self.member(), b"[" + self.member(), self.one(WORDS[:5])])

    def rank(self):
        return self.one([b"0", b"0", b"1", b"3", b"-1", b"-1", b"-3", self.number()])

    def add_options(self):
        return [self.case(option) for option in self.chance.sample([b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"], self.chance.choice([1, 1, 2, 3]))]

    def range_options(self):
        parts = [[b"WITHSCORES"], [b"REV"], [b"LIMIT", b"0", b"2"], [b"LIMIT", b"1", b"-1"], [b"LIMIT", self.number(), self.number()], [b"BYLEX"]]
        return self.flat(self.chance.sample(parts, self.chance.choice([0, 0, 1, 1, 2])))

    def counted_keys(self):
        keys = self.some(self.key, 1, 3)
        return [self.one([str(len(keys)).encode()] * 8 + [b"0", b"9", b"x"])] + keys

    def algebra_options(self):
        parts = [[b"WEIGHTS"] + self.some(self.score, 1, 3), [b"AGGREGATE", self.one([b"SUM", b"min", b"MAX", b"x"])], [b"WITHSCORES"]]
        return self.flat(self.chance.sample(parts, self.chance.choice([0, 0, 1, 1, 2])))

    def geo_key(self):
        return self.one([b"geo:1", b"geo:2"])

    def place(self):
        return self.one([b"p%d" % i for i in range(30)])

    def coordinate(self, most):
        draw = self.chance.uniform
        return str(self.one([draw(-most, most), draw(-most, most), draw(-1, 1), round(draw(-most, most)), most - draw(0, 0.01), -most + draw(0, 0.01), most, -most, 13.5])).encode()

    def point(self):
        if self.chance.random() < 0.03:
            return [self.one([b"x", b"180.1", b"-inf", b"nan", b"13"]), self.one([b"x", b"86", b"inf", b"38"])]
        return [self.coordinate(180), self.coordinate(85.05112878)]

    def unit(self):
        return self.one([b"m", b"km", b"KM", b"ft", b"mi", b"km", b"m", b"x"][: self.chance.choice([7, 7, 7, 8])])

    def length(self):
        return self.one([b"%g" % 10 ** self.chance.uniform(0, 8), b"%g" % 10 ** self.chance.uniform(2, 5), b"0", b"1", b"500", b"-1", b"x", b"inf"][: self.chance.choice([5, 5, 5, 8])])

    def geo_shape(self):
        parts = [self.one([[b"FROMMEMBER", self.place()], [b"FROMLONLAT"] + self.point()]),
                 self.one([[b"BYRADIUS", self.length(), self.unit()], [b"bybox", self.length(), self.length(), self.unit()]])]
        if self.chance.random() < 0.1:
            parts += [self.one([[b"FROMMEMBER", self.place()], [b"BYRADIUS", b"1", b"km"], [b"BYBOX", b"1", b"1", b"m"], [b"FROMLONLAT", b"1", b"2"]])]
        return self.flat(self.chance.sample(parts, self.one([len(parts)] * 5 + [1])))

    def geo_options(self):
        parts = [[b"WITHDIST"], [b"WITHHASH"], [b"WITHCOORD"], [self.one([b"ASC", b"desc"])], [b"COUNT", self.one([b"1", b"3", b"10", b"0", b"-1", b"x"])],
                 [b"COUNT", b"2", b"ANY"], [b"ANY"], [self.one([b"STORE", b"STOREDIST"]), self.one([self.geo_key(), self.key()])], [b"STOREDIST"], [b"x"]]
        weights = [8, 8, 8, 8, 6, 4, 1, 4, 2, 1]
        count = self.one([0, 0, 1, 1, 2, 3])
        return self.flat(self.chance.choices(parts, weights)[0] for _ in range(count))

    def hll_key(self):
        return self.one([b"hll:1", b"hll:2", b"hll:3"])

    def many(self, count):
        first = self.chance.randrange(20000)
        return [str(i).encode() for i in range(first, first + count)]

    def text_key(self):
        return self.one([b"text:1", b"text:2", b"text:3"])

    def bit(self):
        return self.one([b"0", b"1", b"7", b"8", b"63", b"100", b"32767", b"65535", b"65536", b"80001"]
                        + [b"4294967296", b"#1", b"-8", self.number()][: self.chance.choice([0, 0, 4])])

    def bit_range(self):
        units = self.one([[], [], [b"BIT"], [b"byte"], [b"x"]])
        return self.one([[], [self.index()], [self.index(), self.index()] + units, [self.index(), self.index()] + units])

    def field_type(self):
        return self.one([b"u1", b"i1", b"u8", b"i8", b"i5", b"u13", b"i33", b"u63", b"i64", b"u64", b"i65", b"x", b"u0", b"i"][: self.chance.choice([9, 9, 9, 14])])

    def field_operation(self):
        place = [self.field_type(), self.one([b"0", b"1", b"7", b"8", b"#0", b"#1", b"#7", b"100", b"65529", b"-1", b"x", self.number()][: self.chance.choice([9, 9, 9, 12])])]
        return self.one([[b"GET"] + place, [b"SET"] + place + [self.number()], [b"INCRBY"] + place + [self.number()], [b"INCRBY"] + place + [self.index()],
                         [b"OVERFLOW", self.one([b"WRAP", b"sat", b"FAIL", b"fail", b"x"])], [b"GET"] + place])

    def value(self):
        return self.one(self.one([WORDS, NUMBERS, FLOATS]))

    def number(self):
        return self.one(self.one([NUMBERS, NUMBERS, NUMBERS, WORDS, FLOATS]))

    def odd_time(self):
        """A time that is over, far away or no number: a key must not run out between the two servers."""
        return self.one([n for n in NUMBERS if len(n) > 5 or n in (b"0", b"-1")] + FLOATS + WORDS[:7])

    def some(self, draw, least=1, most=4):
        return [draw() for _ in range(self.chance.randint(least, most))]

    def case(self, word):
        return self.one([word, word, word.lower(), word.title()])

    def expiry(self):
        return self.one([
            [b"EX", self.one(LONG)], [b"PX", self.one(LONG) + b"000"], [b"EXAT", self.one(FUTURE_S)],
            [b"PXAT", self.one(FUTURE_MS)], [b"KEEPTTL"], [b"EX", self.odd_time()], [b"PX", b"-5"], [b"EXAT", b"0"], [b"EX"]])

    def command(self):
        c, key, value, number = self.chance, self.key, self.value, self.number
        if self.only or c.random() < 0.5:
            words = self.one(FAMILIES[self.only or self.one(sorted(set(FAMILIES) - APART))])(self)
            return self.spoilt(words) if words[0] not in UNORDERED | NEWER else words
        kind = c.randrange(46)
        if kind == 0:
            words = [b"SET", key(), value()]
            if c.random() < 0.7:
                words += [w for part in c.sample([[b"NX"], [b"XX"], [b"GET"], self.expiry(), [b"nonsense"]],
                                                 c.choice([1, 1, 2, 3])) for w in part]
        elif kind < 4:
            words = [b"SET", key(), value()]
        elif kind < 7:
            words = [b"GET", key()]
        else:
            words = self.one([
                lambda: [b"GETSET", key(), value()], lambda: [b"GETDEL", key()],
                lambda: [b"GETEX", key()] + self.one([[], [b"PERSIST"], self.expiry(), self.expiry()]),
                lambda: [b"SETNX", key(), value()], lambda: [b"SETEX", key(), self.one(LONG + [b"0", b"-1"]), value()],
                lambda: [b"PSETEX", key(), self.one(LONG + [b"0", b"-1"]) + b"000", value()],
                lambda: [b"MGET"] + self.some(key), lambda: [b"MSET"] + self.some(key, 1, 6),
                lambda: [b"MSET"] + [w for _ in range(3) for w in (key(), value())],
                lambda: [b"MSETNX"] + [w for _ in range(2) for w in (key(), value())],
                lambda: [b"INCR", key()], lambda: [b"DECR", key()], lambda: [b"INCRBY", key(), number()],
                lambda: [b"DECRBY", key(), number()], lambda: [b"INCRBYFLOAT", key(), self.one(FLOATS + NUMBERS)],
                lambda: [b"APPEND", key(), value()], lambda: [b"STRLEN", key()],
                lambda: [b"GETRANGE", key(), number(), number()], lambda: [b"SUBSTR", key(), number(), number()],
                lambda: [b"SETRANGE", key(), self.one([b"0", b"3", b"-1", b"20", b"5000", b"x", b"600000000"]), value()],
                lambda: [b"DEL"] + self.some(key), lambda: [b"UNLINK"] + self.some(key), lambda: [b"EXISTS"] + self.some(key),
                lambda: [b"TYPE", key()], lambda: [b"TOUCH"] + self.some(key),
                lambda: [self.one([b"EXPIRE", b"PEXPIRE"]), key(), self.one(LONG) + b"000"] + self.flags(relative=True),
                lambda: [b"EXPIREAT", key(), self.one(FUTURE_S)] + self.flags(),
                lambda: [b"PEXPIREAT", key(), self.one(FUTURE_MS)] + self.flags(),
                lambda: [self.one([b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"]), key(), self.odd_time()] + self.flags(relative=True),
                lambda: [self.one([b"EXPIRETIME", b"PEXPIRETIME"]), key()], lambda: [b"PERSIST", key()],
                lambda: [self.one([b"TTL", b"PTTL"]), key()],
                lambda: [self.one([b"RENAME", b"RENAMENX"]), key(), key()],
                lambda: [b"COPY", key(), key()] + self.one([[], [b"REPLACE"], [b"DB", b"1"], [b"DB", b"1", b"REPLACE"], [b"DB", b"99"],
                                                             [b"x"]]),
                lambda: [b"MOVE", key(), self.one([b"0", b"1", b"2", b"16", b"-1", b"x"])],
                lambda: [b"SELECT", self.one([b"0", b"0", b"1", b"2", b"16", b"x"])], lambda: [b"DBSIZE"],
                lambda: [b"SWAPDB", self.one([b"0", b"1", b"16"]), self.one([b"0", b"1", b"x"])],
                lambda: [self.one([b"FLUSHDB", b"FLUSHALL"])] + self.one([[], [b"ASYNC"], [b"SYNC"], [b"x"]])
                if c.random() < 0.2 else [b"PING"],
                lambda: [b"ECHO", value()], lambda: [b"PING"] + self.some(value, 0, 2),
                lambda: [b"HELLO"] + self.one([[b"4"], [b"x"], [b"3", b"nonsense"], [b"3", b"SETNAME"]]),
                lambda: [b"CLIENT"] + self.one([[b"GETNAME"], [b"SETNAME", b"n"], [b"SETNAME", b"a b"], [b"SETNAME", b""], [b"NOSUCH"],
                                                [], [b"NO-EVICT", b"on"], [b"NO-EVICT", b"x"], [b"REPLY", b"ON"], [b"REPLY", b"x"],
                                                [b"KILL", b"ID", b"x"], [b"KILL", b"1.2.3.4:5"]]),
                lambda: [b"CONFIG"] + self.one([[], [b"NOSUCH"], [b"GET"], [b"GET", b"nothing-like-it"], [b"GET", b"appendonly"],
                                                [b"SET"], [b"SET", b"maxclients"], [b"RESETSTAT", b"x"]]),
                lambda: [b"COMMAND"] + self.one([[b"INFO", b"get"], [b"INFO", b"nonsense"], [b"GETKEYS", b"mset", b"a", b"1", b"b", b"2"],
                                                 [b"GETKEYS", b"get"], [b"GETKEYS", b"nonsense"], [b"NOSUCH"]])
                if c.random() < 0.3 else [b"TYPE", key()],
                lambda: [b"KEYS", self.one([b"nothing*", b"[", b"key:1", b"ke?:1"])],
                lambda: [b"SCAN"] + self.one([[b"x"], [b"0", b"COUNT", b"0"], [b"0", b"COUNT", b"x"], [b"0", b"NONSENSE"], [], [b"0", b"MATCH"],
                                              [b"0", b"MATCH", b"nothing*", b"COUNT", b"1000"], [b"0", b"TYPE", b"hash", b"COUNT", b"1000"]]),
                lambda: [self.one([b"NONSENSE", b"", b"G\x00T", b"get2", b"x" * 200])] + self.some(value, 0, 3),
            ])()
        if words[0] not in (b"SCAN", b"COMMAND"):  # theirs come in an order of their own
            words = self.spoilt(words)
        return [self.case(words[0])] + words[1:]

    def spoilt(self, words):
        """Now and then a word too few or too many."""
        if self.chance.random() < 0.03:
            return words[:-1] or words
        if self.chance.random() < 0.03:
            return words + [self.value()[:1000]]  # a client's name is at most 1 KiB long in varve
        return words

    def flags(self, relative=False):
        always = [[], [], [], [b"NX"], [b"XX"], [b"NX", b"GT"], [b"nonsense"]]
        # Which of two equal relative times is the later one depends on the millisecond each server began in.
        return self.one(always if relative else always + [[b"GT"], [b"LT"], [b"GT", b"LT"]])


def receive_raw(client):
    """The bytes of one reply."""
    line = client.reader.readline()
    check(line.endswith(b"\r\n"), f"the connection was closed: {line!r}")
    if line[:1] in b"$=!" and line != b"$-1\r\n":
        return line + client.reader.read(int(line[1:-2]) + 2)
    if line[:1] in b"*~>%" and line != b"*-1\r\n":
        count = int(line[1:-2]) * (2 if line[:1] == b"%" else 1)
        return line + b"".join(receive_raw(client) for _ in range(count))
    return line


def same(words, ours, theirs):
    if ours == theirs:
        return True
    name = words[0].upper()
    if name in (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME") and ours[:1] == theirs[:1] == b":":
        slack = 2000 if name[:1] == b"P" else 2  # the two servers' clocks were read at different moments
        return abs(int(ours[1:]) - int(theirs[1:])) <= slack and (int(ours[1:]) > 0) == (int(theirs[1:]) > 0)
    if name == b"COMMAND" and words[1:2] == [b"INFO"]:
        return ours[:40] == theirs[:40]  # the same command; categories and tips may say more or less
    if name in UNORDERED:
        return sorted(ours.split(b"\r\n")) == sorted(theirs.split(b"\r\n"))  # the same elements, in another order
    if name == b"HELLO":
        return ours[:1] == theirs[:1] and ours[:1] in b"*%"  # version and connection number are each server's own
    return False


def content(client, key):
    """Type, encoding and value of a key."""
    kind = client.ok("TYPE", key)
    read = {b"string": "GET", b"hash": "HGETALL", b"set": "SMEMBERS", b"list": "LRANGE", b"zset": "ZRANGE", b"stream": "XRANGE"}[kind if isinstance(kind, bytes) else kind.encode()]
    options = {"LRANGE": [0, -1], "ZRANGE": [0, -1, "WITHSCORES"], "XRANGE": ["-", "+"]}
    value = client.ok(read, key, *options.get(read, []))
    if read == "HGETALL":
        value = sorted(value.items()) if isinstance(value, dict) else sorted(zip(value[::2], value[1::2]))
    encoding = None if key == b"sort:zset" else client.ok("OBJECT", "ENCODING", key)
    return kind, encoding, sorted(value) if read == "SMEMBERS" else value


def compare(t, protocol, commands, only=None):
    chance = random.Random(t.options.seed)
    maker = Maker(chance, only)
    server, redis = t.server().start(), t.redis(appendfsync="everysec").start()
    differences = {}
    with server.client() as ours, redis.client() as theirs:
        for client in (ours, theirs):
            reply = client("HELLO", protocol)
            check(not isinstance(reply, ReplyError), f"HELLO: {reply}")
        done = 0
        while done < commands:
            batch = [maker.command() for _ in range(chance.choice([1, 5, 30]))]
            data = b"".join(encode(*words) for words in batch)
            for client in (ours, theirs):
                client.send(data)
            for words in batch:
                a, b = receive_raw(ours), receive_raw(theirs)
                if not same(words, a, b):
                    differences.setdefault((words[0].upper(), a[:1], b[:1]), f"{shorten(words)}\n      varve {shorten(a)}\n      redis {shorten(b)}")
            done += len(batch)
            if len(differences) > 10:
                break
        for database in range(3):
            rows = []
            for client in (ours, theirs):
                client.ok("SELECT", database)
                keys = sorted(client.ok("KEYS", "*"))
                rows.append([(k, content(client, k), client.ok("PEXPIRETIME", k) // 60000) for k in keys])
            for a, b in zip(*rows):
                if a != b:
                    differences[("data", database)] = f"database {database}: {shorten(a)}\n      redis {shorten(b)}"
            if len(rows[0]) != len(rows[1]):
                differences[("keys", database)] = f"database {database}: {[row[0] for row in rows[0]]}\n      redis {[row[0] for row in rows[1]]}"
    check(not differences, f"seed {t.options.seed}: {len(differences)} kinds of difference:\n    " + "\n    ".join(differences.values()))
    server.stop()


@test
def same_as_redis_resp2(t):
    compare(t, 2, 20000)


@test
def same_as_redis_resp3(t):
    compare(t, 3, 20000)


@test
def same_as_redis_sort(t):
    compare(t, 2, 5000, "sort")
