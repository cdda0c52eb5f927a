"""Draws the words of commands for diff.py: keys, numbers, times, options; mostly well formed, some not."""

KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"k\x00\xff", b"", b"long" * 50]
NUMBERS = [b"0", b"1", b"-1", b"2", b"7", b"10", b"100", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808"]
FLOATS = [b"0.5", b"-2.25", b"3e2", b"1e400", b"nan", b"inf", b"0x1p3", b" 1", b"1 ", b"3.0e0"]
WORDS = [b"", b"x", b"value", b"NX", b"007", b"+1", b"1.0", b"\x00", b"v" * 100, b"w" * 5000, b"{not a number}"]
MEMBERS = [b"a", b"b", b"1", b"2", b"-3", b"07", b"", b"m" * 70, b"\x00\xff"]  # together they exceed what counts as small
SCORES = [b"0", b"-0", b"1", b"2", b"2.5", b"-3", b"1e17", b"0.1", b"inf", b"-inf", b"-1.5e-9", b"123456789012345678"]
CHANNELS = [b"news", b"news.a", b"n?ws", b"", b"x\xff"]
PATTERNS = [b"*", b"n*", b"n\\?ws", b"[mn]ews*", b"zzz"]
USERS = [b"alice", b"bob", b"carol"]
RULES = [b"on", b"off", b"nopass", b">secret", b">other", b"<secret", b"<other", b"resetpass", b"+get", b"-get", b"+@all", b"-@all", b"+@read",
         b"-@write", b"+@string", b"-@dangerous", b"allcommands", b"nocommands", b"~*", b"~a*", b"%R~b*", b"%W~c*", b"%RW~key:*", b"allkeys",
         b"resetkeys", b"&*", b"&n*", b"allchannels", b"resetchannels", b"+config|get", b"-config|set", b"+client|list", b"-client",
         b"(~b* +set)", b"(+@all ~c* -get)", b"clearselectors", b"reset", b"sanitize-payload", b"skip-sanitize-payload", b"+nonsense",
         b"+@nonsense", b"nonsense", b"%X~a", b"#" + b"0" * 64, b"#zz", b"!" + b"0" * 64, b"(+get", b"+select|0", b"+config|nonsense", b"~a b", b""]
# Far enough away that no run lives to see them; and over, but not a number that is refused.
FUTURE_S = [b"4000000000", b"4100000000"]
FUTURE_MS = [b"4000000000000", b"4100000000123"]
PAST_S = [b"1", b"1000000000"]
PAST_MS = [b"1", b"1000000000000"]


class Maker:
    """Draws from `chance`. Families (diff_families.py) call it for their words."""

    def __init__(self, chance):
        self.chance = chance
        self.one = chance.choice
        self.ms = 0         # of the last entry id
        self.relative_s = 100_000   # of the last relative time: far apart, so that none counts as another

    def some(self, draw, least=1, most=4):
        return [draw() for _ in range(self.chance.randint(least, most))]

    def flat(self, lists):
        return [word for words in lists for word in words]

    def mixed(self, parts, counts):
        """Some of the parts, in any order."""
        return self.flat(self.chance.sample(parts, min(self.one(counts), len(parts))))

    def case(self, word):
        return self.one([word, word, word.lower(), word.title()])

    # ------------------------------------------------------------------------------------------------ keys and values

    def key(self):
        return self.one(KEYS)

    def member(self):
        return self.one(MEMBERS)

    def value(self):
        return self.one(self.one([WORDS, NUMBERS, FLOATS]))

    def number(self):
        return self.one(self.one([NUMBERS, NUMBERS, NUMBERS, WORDS, FLOATS]))

    def index(self):
        return self.one([b"0", b"1", b"2", b"5", b"-1", b"-2", b"-5", self.number()])

    def turn(self):
        """An index, but not the least number of all: Redis 7.0's LPOS negates it, which C leaves open."""
        index = self.index()
        return b"-9223372036854775807" if index == b"-9223372036854775808" else index

    def rank(self):
        return self.one([b"0", b"0", b"1", b"3", b"-1", b"-1", b"-3", self.number()])

    def database(self):
        return self.one([b"0", b"0", b"0", b"1", b"1", b"2", b"16", b"-1", b"x"])

    def counted_keys(self, draw=None):
        keys = self.some(draw or self.key, 1, 3)
        return [self.one([str(len(keys)).encode()] * 8 + [b"0", b"9", b"x", b"-1"])] + keys

    # ---------------------------------------------------------------------------------------------------------- times

    def timeout(self):
        """Of a blocking command: soon over or refused; never 0, which means for ever."""
        return self.one([b"0.001"] * 5 + [b"0.0015", b"-1", b"x", b"1e400", b"nan"])

    def seconds(self):
        self.relative_s += 1000
        return str(self.relative_s).encode()

    def odd_time(self):
        """A time that is over, far away or no number."""
        return self.one([n for n in NUMBERS if len(n) > 5 or n in (b"0", b"-1")] + FLOATS + WORDS[:7])

    def expiry(self, keep=True):
        """An option of SET or GETEX."""
        return self.one([
            [b"EX", self.seconds()], [b"PX", self.seconds() + b"000"], [b"EXAT", self.one(FUTURE_S)], [b"PXAT", self.one(FUTURE_MS)],
            [b"KEEPTTL"] if keep else [b"PERSIST"], [b"EX", self.odd_time()], [b"PX", b"-5"], [b"PXAT", self.odd_time()],
            [self.one([b"EXAT", b"PXAT"]), b"0"], [self.one([b"EX", b"PXAT"])]])

    def expire(self):
        name = self.one([b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"])
        time = {b"EXPIRE": lambda: self.seconds(), b"PEXPIRE": lambda: self.seconds() + b"000",
                b"EXPIREAT": lambda: self.one(FUTURE_S), b"PEXPIREAT": lambda: self.one(FUTURE_MS)}[name]()
        if self.chance.random() < 0.25:
            time = self.one([self.odd_time(), self.one(PAST_S if name == b"EXPIREAT" else PAST_MS) if name.endswith(b"AT") else b"-1"])
        return [name, self.key(), time] + self.one([[], [], [b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"gt", b"xx"], [b"NX", b"GT"], [b"GT", b"LT"],
                                                    [b"nonsense"]])

    # ------------------------------------------------------------------------------------------- hashes, lists, scans

    def scan_options(self):
        return self.one([[b"COUNT", b"100000"], [b"COUNT", b"100000", b"MATCH", b"m*"], [b"COUNT", b"0"], [b"COUNT", b"x"], [b"x"],
                         [b"TYPE", b"set", b"COUNT", b"100000"], [b"MATCH", b"[", b"COUNT", b"100000"]])

    def random_count(self):
        """How many members a random command takes: none, all, or a number that is refused; some where nothing depends on it."""
        return self.one([b"0", b"100000", b"x", b"9223372036854775807", b"-9223372036854775808", b"2", b"-2"])

    def end(self):
        return self.one([b"LEFT", b"RIGHT", b"left", b"Right"] * 3 + [b"x"])

    # ---------------------------------------------------------------------------------------------------- sorted sets

    def score(self):
        return self.one(self.one([SCORES, SCORES, FLOATS, NUMBERS]))

    def score_bound(self):
        return self.one([b"", b"", b"("]) + self.one(self.one([SCORES, SCORES, FLOATS, WORDS[:5]]))

    def name_key(self):
        return self.one([b"names:1", b"names:2"])

    def name_bound(self):
        return self.one([b"-", b"+", b"[" + self.member(), b"(" + self.member(), b"[" + self.member(), self.one(WORDS[:5])])

    def scored(self, least=1, most=4):
        return self.flat(self.some(lambda: [self.score(), self.member()], least, most))

    def add_options(self):
        return [self.case(o) for o in self.chance.sample([b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"], self.one([1, 1, 2, 3]))]

    def range_options(self):
        return self.mixed([[b"WITHSCORES"], [b"REV"], [b"LIMIT", b"0", b"2"], [b"LIMIT", b"1", b"-1"],
                           [b"LIMIT", self.number(), self.number()], [b"BYLEX"]], [0, 0, 1, 1, 2])

    def algebra_options(self):
        return self.mixed([[b"WEIGHTS"] + self.some(self.score, 1, 3), [b"AGGREGATE", self.one([b"SUM", b"min", b"MAX", b"x"])],
                           [b"WITHSCORES"]], [0, 0, 1, 1, 2])

    # --------------------------------------------------------------------------------------------------------- places

    def geo_key(self):
        return self.one([b"geo:1", b"geo:2"])

    def place(self):
        return self.one([b"p%d" % i for i in range(30)])

    def coordinate(self, most):
        draw = self.chance.uniform
        return str(self.one([draw(-most, most), draw(-most, most), draw(-1, 1), round(draw(-most, most)), most - draw(0, 0.01),
                             -most + draw(0, 0.01), most, -most, 13.5])).encode()

    def point(self):
        if self.chance.random() < 0.03:
            return [self.one([b"x", b"180.1", b"-inf", b"nan", b"13"]), self.one([b"x", b"86", b"inf", b"38"])]
        return [self.coordinate(180), self.coordinate(85.05112878)]

    def places(self, least=1, most=4):
        return self.flat(self.some(lambda: self.point() + [self.place()], least, most))

    def unit(self):
        return self.one([b"m", b"km", b"KM", b"ft", b"mi", b"km", b"m", b"x"][: self.one([7, 7, 7, 8])])

    def length(self):
        return self.one([b"%g" % 10 ** self.chance.uniform(0, 8), b"%g" % 10 ** self.chance.uniform(2, 5), b"0", b"1", b"500",
                         b"-1", b"x", b"inf"][: self.one([5, 5, 5, 8])])

    def geo_shape(self):
        parts = [self.one([[b"FROMMEMBER", self.place()], [b"FROMLONLAT"] + self.point()]),
                 self.one([[b"BYRADIUS", self.length(), self.unit()], [b"bybox", self.length(), self.length(), self.unit()]])]
        if self.chance.random() < 0.1:
            parts.append(self.one([[b"FROMMEMBER", self.place()], [b"BYRADIUS", b"1", b"km"], [b"BYBOX", b"1", b"1", b"m"],
                                   [b"FROMLONLAT", b"1", b"2"]]))
        return self.mixed(parts, [len(parts)] * 5 + [1])

    def geo_options(self):
        parts = [[b"WITHDIST"], [b"WITHHASH"], [b"WITHCOORD"], [self.one([b"ASC", b"desc"])],
                 [b"COUNT", self.one([b"1", b"3", b"10", b"0", b"-1", b"x"])], [b"COUNT", b"2", b"ANY"], [b"ANY"],
                 self.one([[b"STORE", self.geo_key()], [b"STORE", self.key()], [b"STOREDIST", self.key()]]), [b"STOREDIST"], [b"x"]]
        return self.flat(self.chance.choices(parts, [8, 8, 8, 8, 6, 4, 1, 4, 2, 1])[0] for _ in range(self.one([0, 0, 1, 1, 2, 3])))

    # ------------------------------------------------------------------------------------------ bits and HyperLogLogs

    def text(self, sizes):
        return bytes(self.chance.choices(b"\x00\xff\x81abc", k=self.one(sizes)))

    def text_key(self):
        return self.one([b"text:1", b"text:2", b"text:3"])

    def bit(self):
        return self.one([b"0", b"1", b"7", b"8", b"63", b"100", b"32767", b"65535", b"65536", b"80001"]
                        + [b"4294967296", b"#1", b"-8", self.number()][: self.one([0, 0, 4])])

    def bit_range(self):
        units = self.one([[], [], [b"BIT"], [b"byte"], [b"x"]])
        return self.one([[], [self.index()], [self.index(), self.index()] + units, [self.index(), self.index()] + units])

    def field_type(self):
        return self.one([b"u1", b"i1", b"u8", b"i8", b"i5", b"u13", b"i33", b"u63", b"i64", b"u64", b"i65", b"x", b"u0",
                         b"i"][: self.one([9, 9, 9, 14])])

    def field_operation(self):
        place = [self.field_type(), self.one([b"0", b"1", b"7", b"8", b"#0", b"#1", b"#7", b"100", b"65529", b"-1", b"x",
                                              self.number()][: self.one([9, 9, 9, 12])])]
        return self.one([[b"GET"] + place, [b"SET"] + place + [self.number()], [b"INCRBY"] + place + [self.number()],
                         [b"INCRBY"] + place + [self.index()], [b"OVERFLOW", self.one([b"WRAP", b"sat", b"FAIL", b"fail", b"x"])],
                         [b"GET"] + place])

    def hll_key(self):
        return self.one([b"hll:1", b"hll:2", b"hll:3"])

    def many(self, count):
        first = self.chance.randrange(20000)
        return [str(i).encode() for i in range(first, first + count)]

    def registers(self):
        """A value that is or resembles a HyperLogLog."""
        return b"HYLL" + self.one([b"\x00" + bytes(11 + 12288), b"\x01" + bytes(11) + b"\x7f\xff", b"\x01" + bytes(10) + b"\x80\x7f\xfe\x80",
                                   b"\x01" + bytes(11), b"\x02" + bytes(11), b"\x01" + bytes(10) + b"\x80\x7f\xff\x80", b"\x01"])

    # -------------------------------------------------------------------------------------------------------- streams

    def stream_key(self):
        return self.one([b"stream:1", b"stream:1", b"stream:2", b"stream:2", self.key()])

    def next_id(self):
        """Mostly an id behind those before."""
        self.ms += self.one([0, 0, 1, 1, 5])
        return self.one([b"%d-*" % self.ms] * 6 + [b"%d-%d" % (self.ms, self.chance.randrange(500)), b"%d" % self.ms])

    def entry_id(self):
        near = b"%d-%d" % (max(0, self.ms - self.chance.randrange(20)), self.one([0, 0, 1, 2, 7]))
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
        return self.mixed([kind, limit, [b"NOMKSTREAM"], [b"x"]], [0, 1, 1, 2])

    # ----------------------------------------------------------------------------------------------------------- sort

    def sortable(self):
        return self.one([b"1", b"2", b"10", b"-3", b"2.5", b"07", b"1e2", b"", b" 4", b"0x1f"] + [b"word"] * (self.chance.random() < 0.05))

    def sort_key(self):
        return self.one([b"sort:list", b"sort:list", b"sort:set", b"sort:zset", b"w:1", b"none"])

    def sort_options(self):
        """With ALPHA what weighs the same comes in no order that anyone promises; unsorted sets neither."""
        if self.chance.random() < 0.3:
            return self.one([[b"ALPHA"], [b"ALPHA", b"DESC", b"LIMIT", b"1", b"3"], [b"ALPHA", b"GET", b"w:*"]])
        by = self.one([b"w:*", b"w:*", b"h:*->f", b"h:*->g", b"*"])
        return self.mixed([[b"BY", by], [b"LIMIT", self.one([b"0", b"1", b"-1"]), self.one([b"2", b"5", b"-1", b"0"])],
                           [self.one([b"DESC", b"ASC"])], [b"GET", self.one([b"#", b"w:*", b"h:*->f", b"nothing"])], [b"GET", b"#"],
                           [b"x"] if self.chance.random() < 0.1 else []], [0, 1, 2, 3])

    # ------------------------------------------------------------------------------------------------ users, messages

    def user(self):
        return self.one(USERS)

    def rule(self):
        return self.one(RULES)

    def channel(self):
        return self.one(CHANNELS)

    def pattern(self):
        return self.one(PATTERNS)
