"""django-redis: Django's cache interface, its own extensions, and sessions kept in the cache.

Left out, since they are scripts: incr and decr, and the release of a lock.

usage: django_cache.py PORT
"""

import sys

import django
from django.conf import settings

from common import expect

OPTIONS = {"CLIENT_CLASS": "django_redis.client.DefaultClient"}
settings.configure(
    SECRET_KEY="x",
    CACHES={
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{sys.argv[1]}/1",
                    "KEY_PREFIX": "site", "OPTIONS": OPTIONS},
        "packed": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{sys.argv[1]}/2",
                   "OPTIONS": dict(OPTIONS, COMPRESSOR="django_redis.compressors.zlib.ZlibCompressor",
                                   SERIALIZER="django_redis.serializers.json.JSONSerializer")},
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
)
django.setup()

import django_redis  # noqa: E402: they want the settings
from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache, caches  # noqa: E402
from django.core.cache.utils import make_template_fragment_key  # noqa: E402


def the_interface():
    expect("set", cache.set("plain", {"a": [1, 2.5, None]}, 300), True)
    expect("get", cache.get("plain"), {"a": [1, 2.5, None]})
    expect("a default", cache.get("missing", "else"), "else")
    expect("add", (cache.add("plain", 1), cache.add("fresh", 1)), (False, True))
    expect("get_or_set", (cache.get_or_set("made", lambda: 7), cache.get_or_set("made", lambda: 8)), (7, 7))
    cache.set_many({f"n{i}": i for i in range(50)}, timeout=60)
    expect("get_many", cache.get_many(["n1", "n49", "missing"]), {"n1": 1, "n49": 49})
    expect("delete", (cache.delete("n1"), cache.delete("n1"), cache.delete_many(["n2", "n3"])), (True, False, 2))
    expect("in", ("n4" in cache, "n1" in cache, cache.has_key("n4")), (True, False, True))
    expect("touch", (cache.touch("n4", 1000), cache.touch("missing", 1000), 990 < cache.ttl("n4") <= 1000), (True, False, True))
    cache.set("v", "one", version=1)
    expect("versions", (cache.incr_version("v"), cache.get("v"), cache.get("v", version=2)), (2, None, "one"))
    expect("no time at all", (cache.set("n4", 4, timeout=0), cache.get("n4")), (True, None))
    cache.set(make_template_fragment_key("sidebar", ["ann"]), "<p>")
    expect("a fragment", cache.get(make_template_fragment_key("sidebar", ["ann"])), "<p>")


def the_extensions():
    expect("ttl", (cache.ttl("missing"), 0 < cache.ttl("plain") <= 300, 0 < cache.pttl("plain") <= 300000), (0, True, True))
    expect("persist", (cache.persist("plain"), cache.ttl("plain")), (True, None))
    expect("expire", (cache.expire("plain", 50), cache.pexpire("plain", 5000), 0 < cache.ttl("plain") <= 5), (True, True, True))
    expect("nx", (cache.set("once", 1, nx=True), bool(cache.set("once", 2, nx=True)), cache.get("once")), (True, False, 1))
    expect("keys", sorted(cache.keys("n1*")), [f"n1{i}" for i in range(10)])
    expect("iter_keys", sorted(cache.iter_keys("n2?", itersize=3)), [f"n2{i}" for i in range(10)])
    expect("delete_pattern", (cache.delete_pattern("n1*", itersize=4), cache.keys("n1*")), (10, []))
    raw = django_redis.get_redis_connection("default")
    expect("the client behind it", raw.exists("site:1:n20"), 1)


def packed_values():
    packed = caches["packed"]
    packed.set("long", ["text " * 1000])
    expect("a packed value", packed.get("long"), ["text " * 1000])
    expect("its size", django_redis.get_redis_connection("packed").strlen(":1:long") < 200, True)


def sessions():
    session = SessionStore()
    session["cart"] = {"book": 2}
    session.set_expiry(3600)
    session.save()
    again = SessionStore(session.session_key)
    expect("a session", (again["cart"], 3590 < cache.ttl(again.cache_key) <= 3600), ({"book": 2}, True))
    again.cycle_key()
    expect("after a login", (SessionStore(again.session_key)["cart"], again.exists(session.session_key)), ({"book": 2}, False))
    again.flush()
    expect("after a logout", "cart" in SessionStore(again.session_key), False)


def main():
    for part in (the_interface, the_extensions, packed_values, sessions):
        part()
    cache.clear()
    expect("clear clears one cache", (cache.keys("*"), caches["packed"].keys("*")), ([], ["long"]))
    print(f"django-redis {'.'.join(map(str, django_redis.VERSION))}, Django {django.get_version()}")


main()
