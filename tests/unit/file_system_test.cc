// The real file system: each call, what it refuses, and what its messages name.
#include "os/file_system.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "support/script.h"

namespace varve {
namespace {

struct Fixture {
  FileSystem& files = posix_file_system();
  test::TemporaryDirectory directory;
  std::string at(const std::string& name) { return join_path(directory.path(), name); }
  void put(const std::string& name, const std::string& bytes) {
    auto file = files.create(at(name));
    REQUIRE(file.ok());
    REQUIRE((*file)->write_at(0, bytes).ok());
    REQUIRE((*file)->close().ok());
  }
  std::string get(const std::string& name) {
    auto bytes = files.read_whole(at(name));
    return bytes ? *bytes : bytes.status().to_string();
  }
};

mode_t mode_of(const std::string& path) {
  struct stat info;
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

}  // namespace

TEST_CASE("join_path puts exactly one slash") {
  CHECK(join_path("/a", "b") == "/a/b");
  CHECK(join_path("/a/", "b") == "/a/b");
  CHECK(join_path("/", "b") == "/b");
  CHECK(join_path("", "b") == "b");
}

TEST_CASE_FIXTURE(Fixture, "what was written is read, at any offset") {
  std::string big(300'000, 'x');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 >> 3);
  put("f", big);
  auto file = files.open_read(at("f"));
  REQUIRE(file.ok());
  CHECK((*file)->size() == big.size());
  CHECK((*file)->path() == at("f"));
  Buffer out;
  REQUIRE((*file)->read_at(100'001, 54'321, &out).ok());
  CHECK(out.view() == std::string_view(big).substr(100'001, 54'321));
  REQUIRE((*file)->read_at(0, big.size(), &out).ok());
  CHECK(out.view() == big);
  REQUIRE((*file)->read_at(big.size(), 0, &out).ok());
  CHECK(out.empty());
  (*file)->will_need(0, big.size());
}

TEST_CASE_FIXTURE(Fixture, "reading past the end is corruption, found before allocating") {
  put("f", "0123456789");
  auto file = files.open_read(at("f"));
  REQUIRE(file.ok());
  Buffer out;
  Status s = (*file)->read_at(8, 3, &out);
  CHECK(s.to_string() ==
        "corruption: " + at("f") + ": unexpected end of file: 3 bytes at 8 wanted, size is 10");
  CHECK((*file)->read_at(11, 0, &out).is_corruption());
  CHECK((*file)->read_at(0, SIZE_MAX, &out).is_corruption());
  CHECK((*file)->read_at(UINT64_MAX, 2, &out).is_corruption());
  CHECK(out.capacity() < 1 << 20);
  CHECK(!(*file)->read_at_nowait(8, 3, &out));
  CHECK(!(*file)->read_at_nowait(0, SIZE_MAX, &out));

  // The file was cut behind our back: the remembered size does not lie for the disk.
  REQUIRE(files.truncate(at("f"), 4).ok());
  CHECK((*file)->read_at(2, 6, &out).is_corruption());
  CHECK(!(*file)->read_at_nowait(2, 6, &out));
}

TEST_CASE_FIXTURE(Fixture, "nowait either has all the bytes or says no") {
  put("f", "0123456789");
  auto file = files.open_read(at("f"));
  REQUIRE(file.ok());
  Buffer out;
  REQUIRE((*file)->read_at(0, 10, &out).ok());  // now in the page cache
  if ((*file)->read_at_nowait(3, 4, &out)) {
    CHECK(out.view() == "3456");
  } else {
    CHECK(out.empty());  // a file system without RWF_NOWAIT
  }
}

TEST_CASE_FIXTURE(Fixture, "writing in place and past the end") {
  put("f", "aaaaaaaa");
  auto file = files.open_write(at("f"));
  REQUIRE(file.ok());
  CHECK((*file)->path() == at("f"));
  REQUIRE((*file)->write_at(2, "bb").ok());
  REQUIRE((*file)->write_at(10, "cc").ok());
  (*file)->start_write_back(0, 12);
  CHECK((*file)->sync().ok());
  CHECK((*file)->close().ok());
  CHECK((*file)->close().ok());
  CHECK(get("f") == std::string("aabbaaaa\0\0cc", 12));
}

// Goal: whatever the file system can do, what is written past the cache is what is read through it.
TEST_CASE_FIXTURE(Fixture, "writing past the system's cache") {
  put("f", std::string(5 * kDirectAlignment, 'a'));
  auto file = files.open_write_direct(at("f"));
  REQUIRE(file.ok());
  Buffer b(kDirectAlignment), cd(2 * kDirectAlignment);
  std::memset(b.data(), 'b', b.size());
  std::memset(cd.data(), 'c', kDirectAlignment);
  std::memset(cd.data() + kDirectAlignment, 'd', kDirectAlignment);
  REQUIRE((*file)->write_at(kDirectAlignment, b.view()).ok());
  std::string_view parts[] = {cd.view(), b.view()};
  REQUIRE((*file)->write_durable(2 * kDirectAlignment, parts).ok());
  REQUIRE((*file)->sync().ok());
  std::string want;
  for (char c : {'a', 'b', 'c', 'd', 'b'}) want += std::string(kDirectAlignment, c);
  CHECK(get("f") == want);
  // More parts than fit into one call to the system.
  std::vector<std::string_view> many(40, b.view());
  REQUIRE((*file)->write_durable(0, many).ok());
  CHECK(get("f") == std::string(40 * kDirectAlignment, 'b'));
  CHECK(files.open_write_direct(at("g")).status().is_not_found());
}

TEST_CASE_FIXTURE(Fixture, "create makes, open_write and open_read need what is there") {
  put("f", "old");
  auto again = files.create(at("f"));
  CHECK(again.status().to_string() == "invalid argument: " + at("f") + ": open: File exists");
  CHECK(get("f") == "old");
  CHECK(files.open_write(at("g")).status().to_string() ==
        "not found: " + at("g") + ": open: No such file or directory");
  CHECK(files.open_read(at("g")).status().is_not_found());
  CHECK(files.create(at("no/g")).status().is_not_found());
  CHECK(files.open_write(directory.path()).status().code() == StatusCode::kIoError);
}

TEST_CASE_FIXTURE(Fixture, "files and directories are for their owner only") {
  put("f", "x");
  CHECK(files.create_dir(at("d")).ok());
  auto held = files.lock(at("lock"));
  REQUIRE(held.ok());
  CHECK(mode_of(at("f")) == 0600);
  CHECK(mode_of(at("lock")) == 0600);
  CHECK(mode_of(at("d")) == 0700);
}

TEST_CASE_FIXTURE(Fixture, "directories") {
  CHECK(files.create_dir(at("d")).ok());
  CHECK(files.create_dir(at("d")).ok());
  put("f", "x");
  CHECK(files.create_dir(at("f")).to_string() == "invalid argument: " + at("f") + ": mkdir: File exists");
  put("d/b", "");
  put("d/a", "");
  CHECK(*files.list(at("d")) == std::vector<std::string>{"a", "b"});
  CHECK(files.list(at("none")).status().is_not_found());
  CHECK(files.sync_dir(at("d")).ok());
  CHECK(files.sync_dir(at("none")).is_not_found());
  CHECK(files.sync_dir(at("f")).code() == StatusCode::kIoError);
  CHECK(files.remove_dir(at("d")).code() == StatusCode::kIoError);  // not empty
  CHECK(files.remove(at("d/a")).ok());
  CHECK(files.remove(at("d/b")).ok());
  CHECK(files.remove(at("d/b")).is_not_found());
  CHECK(files.remove_dir(at("d")).ok());
  CHECK(files.remove_dir(at("d")).is_not_found());
  CHECK(!files.exists(at("d")));
}

TEST_CASE_FIXTURE(Fixture, "rename replaces, link shares, truncate cuts") {
  put("a", "new bytes");
  put("b", "old");
  CHECK(files.rename(at("a"), at("b")).ok());
  CHECK(!files.exists(at("a")));
  CHECK(get("b") == "new bytes");
  Status s = files.rename(at("a"), at("c"));
  CHECK(s.to_string() == "not found: " + at("a") + " -> " + at("c") + ": rename: No such file or directory");

  CHECK(files.link(at("b"), at("c")).ok());
  CHECK(files.link(at("b"), at("c")).code() == StatusCode::kInvalidArgument);
  CHECK(files.truncate(at("b"), 3).ok());
  CHECK(get("c") == "new");
  CHECK(*files.file_size(at("c")) == 3);
  CHECK(files.remove(at("b")).ok());
  CHECK(get("c") == "new");
  CHECK(files.truncate(at("none"), 0).is_not_found());
  CHECK(files.file_size(at("none")).status().is_not_found());
  CHECK(files.exists(at("c")));
}

TEST_CASE_FIXTURE(Fixture, "free space is a plausible number") {
  auto space = files.free_space(directory.path());
  REQUIRE(space.ok());
  CHECK(*space > 0);
  CHECK(files.free_space(at("none")).status().is_not_found());
}

TEST_CASE_FIXTURE(Fixture, "a lock holds against this process too, until it goes") {
  auto first = files.lock(at("lock"));
  REQUIRE(first.ok());
  auto second = files.lock(at("lock"));
  CHECK(second.status().is_busy());
  CHECK(second.status().message().find(at("lock")) == 0);
  first->reset();
  CHECK(files.lock(at("lock")).ok());
}

TEST_CASE_FIXTURE(Fixture, "whole files: read and replaced") {
  CHECK(files.read_whole(at("f")).status().is_not_found());
  CHECK(files.replace_whole(directory.path(), "f", "one").ok());
  CHECK(get("f") == "one");
  put("f.tmp", "left behind by a crash, and longer");
  CHECK(files.replace_whole(directory.path(), "f", "two").ok());
  CHECK(get("f") == "two");
  CHECK(files.replace_whole(directory.path(), "f", "").ok());
  CHECK(get("f") == "");
  CHECK(*files.list(directory.path()) == std::vector<std::string>{"f"});
  CHECK(files.replace_whole(at("none"), "f", "x").is_not_found());
}

TEST_CASE_FIXTURE(Fixture, "no space and other refusals keep their kinds and places") {
  // A file that is always full.
  auto full = files.open_write("/dev/full");
  if (full)
    CHECK((*full)->write_at(0, "x").to_string() ==
          "no space: /dev/full: pwrite at 0: No space left on device");

  // A size limit makes the system write a part and refuse the rest.
  rlimit before;
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small{1000, before.rlim_max};
  auto file = files.create(at("f"));
  REQUIRE(file.ok());
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  Status s = (*file)->write_at(900, std::string(300, 'x'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(s.to_string() == "I/O error: " + at("f") + ": pwrite at 1000: File too large");
  CHECK(*files.file_size(at("f")) == 1000);
}

}  // namespace varve
