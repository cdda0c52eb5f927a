"""ACL: the same random rules to varve and to redis-server must allow the same; users in files; live connections."""

import os
import random

from harness import check, check_equal, encode, shorten, test

PATTERNS = [b"a*", b"a", b"ab", b"k:?", b"[ab]*", b"*", b"x\\*", b"", b"long" * 30, b"k\xff*"]
KEYS = [b"a", b"ab", b"abc", b"b", b"k:1", b"k:22", b"x*", b"", b"long" * 30, b"k\xff1"]
CHANNELS = [b"a", b"a*", b"ab", b"news", b"n*", b"*", b""]
SECRETS = [b"", b"one", b"two", b"\x00\xff", b"with blank"]
HASH = b"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
JUNK = [b"", b"nonsense", b"+", b"-", b"+@", b"%~x", b"%R", b"%X~a", b"(", b")", b"()", b"(on)", b"(+get", b"((+get))", b"+get|", b"+config|",
        b"+config|get|x", b"-select|1", b"+nope", b"-@nope", b"#ab", b"!" + HASH, b"~a b", b"&a\x00", b'("~a)', b'("")', b"on\x00x", b"+get\x00x",
        b"(%R~ +get)", b"+get|A|B", b"&", b"~"]
# The order of single commands is that of a hash table in Redis; some have no commands in varve, or more.
CATEGORIES = [b"keyspace", b"read", b"write", b"set", b"sortedset", b"list", b"hash", b"string", b"pubsub", b"admin", b"fast", b"slow",
              b"blocking", b"dangerous", b"connection", b"transaction", b"bitmap", b"hyperloglog", b"geo", b"stream", b"scripting"]
# Forms of commands that are tried; %k a key, %c a channel.
FORMS = """get %k|set %k 1|SET %k 1 get|set %k 1 NX GET|mget %k %k|mset %k 1 %k 2|del %k %k|exists %k|type %k|strlen %k|append %k x|getset %k x
setrange %k 0 x|rename %k %k|copy %k %k|lpush %k x|lpop %k|rpoplpush %k %k|lmove %k %k left right|blpop %k %k 0|lmpop 2 %k %k left
blmpop 0 2 %k %k left|smove %k %k m|sinterstore %k %k %k|sintercard 2 %k %k|sunion %k %k|zunion 2 %k %k|zunion 9 %k|zunion x %k|zunion 0 %k
zunionstore %k 2 %k %k|zunionstore %k 7 %k|zrangestore %k %k 0 1|zadd %k 1 m|zmpop 1 %k min|hset %k f v|hgetall %k|object encoding %k|watch %k
publish %c x|spublish %c x|subscribe %c %c|ssubscribe %c|psubscribe %c %c|unsubscribe %c|punsubscribe %c|ping|auth x|hello|quit|multi|exec
config get x|config set x y|CONFIG|client list|client id|Client|client nope|select 0|select 1|dbsize|keys *|flushall|debug sleep 0|acl whoami
acl list|command count|nope %k|get|get %k %k|getex %k|getdel %k|incr %k|expire %k 1|persist %k|randomkey|scan 0|swapdb 0 1|info|time"""
FORMS = [form.encode().split() for line in FORMS.split("\n") for form in line.split("|")]


class Rules:
    def __init__(self, chance, commands):
        self.chance = chance
        self.commands = commands

    def one(self, options):
        return self.chance.choice(options)

    def permission(self):
        """One that selectors know too."""
        kind = self.chance.randrange(12)
        if kind < 3:
            return self.one([b"+", b"-"]) + self.one(self.commands)
        if kind < 5:
            return self.one([b"+@", b"-@"]) + self.one(CATEGORIES + [b"all", b"READ"])
        if kind < 7:
            return self.one([b"~", b"~", b"%R~", b"%w~", b"%RW~"]) + self.one(PATTERNS)
        if kind < 8:
            return b"&" + self.one(PATTERNS)
        if kind < 9:
            return self.one([b"allkeys", b"resetkeys", b"AllChannels", b"resetchannels", b"allcommands", b"nocommands", b"~*", b"&*", b"+@all"])
        if kind < 10:
            return self.one([b"+select|0", b"+select|A", b"+get|x", b"+Config|Get", b"+debug|sleep", b"-config|get"])
        return self.one([b"+get", b"+set", b"+@read", b"-@dangerous", b"~a*", b"resetkeys"])

    def rule(self):
        kind = self.chance.randrange(20)
        if kind < 11:
            return self.permission()
        if kind < 13:
            return b"(" + b" ".join(self.permission() for _ in range(self.chance.randrange(4))) + b")"
        if kind < 15:
            return self.one([b">", b">", b"<"]) + self.one(SECRETS)
        if kind < 16:
            return self.one([b"#", b"!"]) + HASH
        if kind < 18:
            return self.one([b"on", b"OFF", b"nopass", b"resetpass", b"sanitize-payload", b"skip-sanitize-payload", b"clearselectors", b"reset"])
        return self.one(JUNK) if kind < 19 else self.one([b"(+get", b"~a*", b"%R~b)", b")"])

    def rules(self):
        """Errors refuse all of them: mostly few, and mostly right."""
        return [self.rule() for _ in range(self.one([1, 1, 2, 3, 6]))]

    def form(self):
        fill = {b"%k": KEYS, b"%c": CHANNELS}
        return [self.one(fill[word]) if word in fill else word for word in self.one(FORMS)]


def names_of(client):
    """All commands and subcommands."""
    return set(client.ok("COMMAND", "LIST"))


def without_commands(user):
    """What GETUSER tells, but for the commands: which of them a description names one by one depends on all there are."""
    if user is None:
        return None
    user = list(user)
    selectors = user[user.index(b"selectors") + 1]
    user[user.index(b"commands") + 1] = user[user.index(b"commands") + 1][:5]
    user[user.index(b"selectors") + 1] = [without_rules(s) for s in selectors]
    return user


def without_rules(selector):
    return [selector[0], selector[1][:5]] + selector[2:]


def forbidden(client, arities, user):
    """The commands that the user may not run, whatever their keys."""
    tried = []
    for name, arity in arities.items():
        words = name.split(b"|")
        tried.append([b"ACL", b"DRYRUN", user] + words + [b"1"] * (abs(arity) - len(words)))
    return [name for name, reply in zip(arities, client.pipeline(tried)) if isinstance(reply, bytes) and b"no permissions to run" in reply]


@test
def acl_rules_mean_the_same_as_in_redis(t):
    """Random rules to users on both; then what GETUSER tells and what DRYRUN of random commands allows."""
    t.only_varve()
    chance = random.Random(t.options.seed)
    server, redis = t.server().start(), t.redis(appendfsync="no").start()
    with server.client() as ours, redis.client() as theirs:
        common = sorted(names_of(ours) & names_of(theirs))
        arities = {name: info[1] for name, info in zip(common, theirs.ok("COMMAND", "INFO", *common))}
        rules = Rules(chance, common)
        for i in range(600 if not t.options.full else 20000):
            user = chance.choice([b"u1", b"u2", b"u3"])
            if chance.random() < 0.1:
                ours("ACL", "SETUSER", user, "reset"), theirs("ACL", "SETUSER", user, "reset")
            words = [b"ACL", b"SETUSER", user] + rules.rules()
            what = f"seed {t.options.seed}, step {i}: {shorten(words)}"
            check_equal(ours(*words), theirs(*words), what)
            a, b = ours("ACL", "GETUSER", user), theirs("ACL", "GETUSER", user)
            check_equal(without_commands(a), without_commands(b), f"{what}, GETUSER")
            tried = [[b"ACL", b"DRYRUN", user] + rules.form() for _ in range(30)]
            for form, x, y in zip(tried, ours.pipeline(tried), theirs.pipeline(tried)):
                check_equal(x, y, f"{what}, then {shorten(form)}")
            if i % 50 == 0 and a is not None:
                # varve's description of a user makes the same user again, there and here.
                reference = forbidden(theirs, arities, user)
                check_equal(forbidden(ours, arities, user), reference, f"{what}, all commands")
                description = next(line.split(b" ")[2:] for line in ours.ok("ACL", "LIST") if line.split(b" ")[1] == user)
                again = [b"ACL", b"SETUSER", b"again", b"reset"] + description
                made = ours(*again)
                check_equal(made, theirs(*again), f"{what}, made again from {description}")
                # %RW~* is told as ~*, behind which neither takes another pattern.
                if made == "OK":
                    check_equal(forbidden(ours, arities, "again"), reference, f"{what}, made again from {description}")
        ours.ok("ACL", "DELUSER", "again"), theirs.ok("ACL", "DELUSER", "again")
        listed = [sorted(line.split(b" ")[1] for line in client.ok("ACL", "LIST")) for client in (ours, theirs)]
        check_equal(listed[0], listed[1], "ACL LIST")
    server.stop()


@test
def acl_categories_hold_the_same_commands_as_in_redis(t):
    t.only_varve()
    server, redis = t.server().start(), t.redis(appendfsync="no").start()
    with server.client() as ours, redis.client() as theirs:
        check_equal(ours.ok("ACL", "CAT"), theirs.ok("ACL", "CAT"), "ACL CAT")
        common = names_of(ours) & names_of(theirs)
        for category in theirs.ok("ACL", "CAT"):
            a, b = (set(client.ok("ACL", "CAT", category)) & common for client in (ours, theirs))
            check_equal(sorted(a - b), [], f"only varve has in {category}")
            check_equal(sorted(b - a), [], f"only redis has in {category}")
    server.stop()


def gone(client):
    """The connection is closed by the server, perhaps behind what it still had to say."""
    try:
        while True:
            client.receive()
    except (ConnectionError, OSError):
        return True


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


USERS = "user alice on >wonder ~a:* %R~b:* &news -@all +@read +set (~q +lpush)\nuser default on nopass ~* &* +@all\n"


@test
def acl_file_is_loaded_whole_or_not_at_all_and_saved(t):
    """aclfile: read at the start, LOAD, SAVE, restart; a damaged one is refused with its lines, in both places."""
    t.only_varve()
    path = t.path("users.acl")
    write(path, USERS)
    server = t.server(aclfile=path).start()
    with server.client() as admin, server.client() as alice:
        check_equal(alice("AUTH", "alice", "wonder"), "OK", "AUTH")
        check_equal(alice("SET", "a:1", "x"), "OK", "SET")
        check(str(alice("SET", "b:1", "x")).startswith("NOPERM"), "a key that may only be read")
        admin.ok("ACL", "SETUSER", "bob", "on", ">builder", "~*", "+@all", "-@dangerous")
        before = admin.ok("ACL", "LIST")
        write(path, USERS + "user carol on +nope ~x\nuser alice on\nnonsense\nuser dave >x (+get\n")
        error = str(admin("ACL", "LOAD"))
        for part in (f"{path}:3: Error in applying operation '+nope': Unknown command", "Duplicate user 'alice' found on line 4", f"{path}:5 should start",
                     f"{path}:6: Unmatched parenthesis", "no change to the previously active ACL rules"):
            check(part in error, f"{part} in {error}")
        check_equal(admin.ok("ACL", "LIST"), before, "users behind a refused LOAD")
        check_equal(alice("GET", "a:1"), b"x", "a client behind a refused LOAD")
        check_equal(admin.ok("ACL", "SAVE"), "OK", "SAVE")
        check(read(path).splitlines()[0].startswith("user alice on #"), read(path))
        check_equal([line.encode() for line in read(path).splitlines()], before, "the saved file")
        check_equal(admin.ok("ACL", "LOAD"), "OK", "LOAD")
        check(gone(alice), "clients of users that were loaded anew are closed")
        check_equal(admin.ok("PING"), "PONG", "clients of the default user stay")
    server.kill()
    server.start()
    with server.client() as admin, server.client() as bob:
        check_equal(admin.ok("ACL", "LIST"), before, "users behind a restart")
        check_equal(bob("HELLO", 3, "AUTH", "bob", "builder").get(b"proto"), 3, "HELLO AUTH")
        check_equal(bob("ACL", "WHOAMI"), b"bob", "WHOAMI")
        os.remove(path)
        check("opening file" in str(admin("ACL", "LOAD")), "LOAD of a file that is gone")
        check_equal(bob("PING"), "PONG", "a client behind a refused LOAD")
    server.stop()
    for text in (USERS + "user eve on +nope\n", "user default on nopass ~* &* +@all\nuser default off\n"):
        write(path, text)
        server.spawn()
        check_equal(server.process.wait(60), 1, "exit code with a damaged ACL file")
    check("Error in applying operation '+nope'" in server.log() and f"{path}:3" in server.log(), server.log_tail())
    check("Duplicate user 'default' found on line 2" in server.log(), server.log_tail())
    os.remove(path)
    server.spawn()
    check_equal(server.process.wait(60), 1, "exit code without the ACL file")


@test
def acl_users_in_the_configuration_file(t):
    """Lines of users are read, refused with their place, and rewritten."""
    t.only_varve()
    path = t.path("users.conf")
    write(path, f"# who\nuser alice on >wonder ~a:* +@read\nuser gone on\nmaxmemory 192mb\n")
    server = t.server().start()
    server.stop()
    server.arguments = [path]
    server.start()
    with server.client() as admin, server.client() as alice:
        check_equal(alice("AUTH", "alice", "wonder"), "OK", "AUTH")
        admin.ok("ACL", "SETUSER", "bob", "on", "nopass", "~b:*", "(+@write ~c)")
        admin.ok("ACL", "DELUSER", "gone")
        admin.ok("CONFIG", "SET", "requirepass", "secret")
        before = admin.ok("ACL", "LIST")
        admin.ok("CONFIG", "REWRITE")
    text = read(path)
    check(text.startswith("# who\nuser alice on #") and "user gone" not in text and "wonder" not in text, text)
    check_equal(text.count("\nuser "), 3, "lines of users")
    server.stop()
    server.password = "secret"
    server.start()
    with server.client() as admin:
        check(str(admin("PING")).startswith("NOAUTH"), "before AUTH")
        admin.ok("AUTH", "secret")
        check_equal(admin.ok("ACL", "LIST"), before, "users behind a restart")
    server.stop()
    for line, told in (("user alice on +nope", "Error in user declaration '+nope': Unknown command"), ("user", "wrong number of arguments"),
                       ("user a on\nuser a off", "Duplicate user found"), (f"user a on\naclfile {path}", "not in both"),
                       ("user a on (+get", "Unmatched parenthesis")):
        write(path, line + "\n")
        server.spawn()
        check_equal(server.process.wait(60), 1, f"exit code with {line}")
        check(told in server.log() and f"{path}:" in server.log(), f"{told}: {server.log_tail()}")


@test
def acl_live_connections_follow_their_users(t):
    """DELUSER closes, SETUSER takes effect at once, subscribers that may not hear any more are closed; CLIENT LIST and KILL know users."""
    server = t.server().start()
    with server.client() as admin, server.client() as one, server.client() as two, server.client() as three:
        for name in ("x", "y"):
            admin.ok("ACL", "SETUSER", name, "reset", "on", "nopass", "~*", "&*", "+@all")
        one.ok("AUTH", "x", "any"), two.ok("AUTH", "x", "any"), three.ok("AUTH", "y", "any")
        check_equal(admin.ok("CLIENT", "LIST").count(b" user=x "), 2, "clients of x")
        admin.ok("ACL", "SETUSER", "x", "-get")
        check(str(one("GET", "k")).startswith("NOPERM"), "GET behind -get")
        one.ok("SUBSCRIBE", "news"), two.ok("PSUBSCRIBE", "n*")
        admin.ok("ACL", "SETUSER", "x", "resetchannels", "&n*")
        check_equal(admin.ok("PUBLISH", "news", "m"), 2, "both still listen")
        admin.ok("ACL", "SETUSER", "x", "resetchannels", "&news")
        check(gone(two), "a pattern that is no longer there word for word")
        check_equal(admin.ok("PUBLISH", "news", "m"), 1, "the other still listens")
        admin.ok("ACL", "SETUSER", "x", "resetchannels")
        check(gone(one), "a channel that is no longer allowed")
        check_equal(admin.ok("CLIENT", "KILL", "USER", "y"), 1, "KILL USER")
        check(gone(three), "KILL USER closes")
        check_equal(str(admin("CLIENT", "KILL", "USER", "nobody")), "ERR No such user 'nobody'", "KILL USER of nobody")
    with server.client() as admin, server.client() as y:
        y.ok("AUTH", "y", "any")
        check_equal(y("ACL", "DELUSER", "y", "x"), 2, "DELUSER of oneself")
        check(gone(y), "DELUSER closes its own client behind the answer")
        check_equal(admin.ok("ACL", "USERS"), [b"default"], "USERS")
        # The default user off: who is there stays, who comes must be someone else.
        admin.ok("ACL", "SETUSER", "z", "on", ">p", "+@all", "~*", "&*")
        admin.ok("ACL", "SETUSER", "default", "off")
        check_equal(admin.ok("PING"), "PONG", "who was there")
        with server.client() as fresh:
            check_equal(str(fresh("PING")), "NOAUTH Authentication required.", "who comes")
            check_equal(fresh.ok("AUTH", "z", "p"), "OK", "AUTH")
            check_equal(fresh.ok("PING"), "PONG", "someone else")
            check_equal(fresh.ok("RESET"), "RESET", "RESET")
            check_equal(str(fresh("PING")), "NOAUTH Authentication required.", "behind RESET")
    server.kill()


@test
def acl_blocked_clients_and_transactions_meet_new_rules(t):
    """EXEC looks again at what each command may do; the refusals stand in ACL LOG."""
    server = t.server().start()
    with server.client() as admin, server.client() as user:
        admin.ok("ACL", "SETUSER", "u", "reset", "on", "nopass", "~*", "&*", "+@all")
        user.ok("AUTH", "u", "x")
        user.ok("MULTI")
        for words in (["GET", "q"], ["INCR", "zz"], ["PUBLISH", "c", "x"], ["SET", "a", "1"], ["CONFIG", "GET", "port"], ["PING"]):
            check_equal(user(*words), "QUEUED", words)
        admin.ok("ACL", "SETUSER", "u", "-get", "-config", "resetkeys", "~a", "resetchannels")
        replies = [str(reply) for reply in user("EXEC")]
        start = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: "
        check_equal(replies, [start + "no permission to execute the command or subcommand", start + "no permission to touch the specified keys",
                              start + "no permission to access one of the channels used as arguments", "OK",
                              start + "no permission to execute the command or subcommand", "PONG"], "EXEC")
        check_equal(admin.ok("EXISTS", "zz", "a"), 1, "what was done")
        log = [dict(zip(entry[::2], entry[1::2])) for entry in admin.ok("ACL", "LOG")]
        check_equal([(e[b"reason"], e[b"context"], e[b"object"], e[b"username"]) for e in log],
                    [(b"command", b"multi", b"config|get", b"u"), (b"channel", b"multi", b"c", b"u"), (b"key", b"multi", b"zz", b"u"),
                     (b"command", b"multi", b"get", b"u")], "ACL LOG")
        check(b" cmd=exec user=u " in log[0][b"client-info"], log[0])
        # The same refusal within a minute is one entry, the newest.
        user("GET", "a"), user("GET", "a")
        newest = admin.ok("ACL", "LOG", 1)[0]
        check_equal((newest[1], newest[5], newest[7]), (2, b"toplevel", b"get"), "the newest entry")
        # Who waits for a key is asked about again when it comes.
        admin.ok("ACL", "SETUSER", "u", "~list", "+blpop")
        user.send(encode("BLPOP", "list", 0))
        while "blocked_clients:1" not in admin.ok("INFO", "clients").decode():
            pass
        admin.ok("ACL", "SETUSER", "u", "-blpop")
        if t.options.against != "redis":
            check_equal(admin.ok("RPUSH", "list", "x"), 1, "RPUSH")
            check(str(user.receive()).startswith("NOPERM"), "BLPOP behind -blpop")
            check_equal(admin.ok("LPOP", "list"), b"x", "what it did not get")
        else:
            admin.ok("RPUSH", "list", "x"), user.receive()
        user.ok("MULTI")
        check_equal(str(user("GET", "a")), "NOPERM this user has no permissions to run the 'get' command", "queueing")
        check_equal(str(user("EXEC")), "EXECABORT Transaction discarded because of previous errors.", "EXEC behind it")
    server.kill()
