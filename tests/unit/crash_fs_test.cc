// The simulated disk itself: a fault test is worth what its disk is. Each promise of crash_fs.h is tried
// under many seeds: what must survive always does, and what may go wrong does go wrong under some seed.
#include "support/crash_fs.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "os/worker_pool.h"
#include "support/script.h"

namespace varve::test {
namespace {

constexpr int kSeeds = 400;
constexpr size_t kBlock = 512;

std::string block_of(char c) {
  return std::string(kBlock, c);
}

std::unique_ptr<WriteFile> make_file(CrashFs* files, const std::string& path, std::string_view bytes = {}) {
  auto file = files->create(path);
  REQUIRE(file.ok());
  if (!bytes.empty()) REQUIRE((*file)->write_at(0, bytes).ok());
  return file.take();
}

// A file whose name and bytes are durable.
std::unique_ptr<WriteFile> make_durable(CrashFs* files, const std::string& path, std::string_view bytes) {
  files->put(path, std::string(bytes));
  auto file = files->open_write(path);
  REQUIRE(file.ok());
  return file.take();
}

// What the file may be after a crash, over many seeds; "-" when it is gone.
std::set<std::string> outcomes(const CrashFs& files, const std::string& path,
                               const CrashPolicy& policy = {}) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    auto after = files.crashed_copy(policy, seed);
    seen.insert(after->exists(path) ? after->contents(path) : "-");
  }
  return seen;
}

// The names a directory may hold after a crash, joined by spaces.
std::set<std::string> name_outcomes(const CrashFs& files, const std::string& dir,
                                    const CrashPolicy& policy = {}) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    auto names = files.crashed_copy(policy, seed)->list(dir);
    std::string text;
    if (!names)
      text = "-";
    else
      for (const std::string& name : *names) text += (text.empty() ? "" : " ") + name;
    seen.insert(text);
  }
  return seen;
}

}  // namespace

TEST_CASE("it is a file system") {
  CrashFs files;
  REQUIRE(files.create_dir("/d").ok());
  CHECK(files.create_dir("/d").ok());
  auto file = make_file(&files, "/d/f", "hello");
  CHECK(files.create("/d/f").status().code() == StatusCode::kInvalidArgument);
  CHECK(files.create("/no/f").status().is_not_found());
  CHECK(files.open_read("/d/g").status().is_not_found());
  REQUIRE(file->write_at(8, "!").ok());
  CHECK(files.contents("/d/f") == std::string("hello\0\0\0!", 9));

  auto reader = files.open_read("/d/f");
  REQUIRE(reader.ok());
  Buffer out;
  REQUIRE((*reader)->read_at(1, 3, &out).ok());
  CHECK(out.view() == "ell");
  CHECK((*reader)->read_at(8, 2, &out).is_corruption());
  CHECK((*reader)->read_at_nowait(0, 9, &out));

  REQUIRE(files.link("/d/f", "/d/g").ok());
  REQUIRE(files.rename("/d/f", "/d/h").ok());
  CHECK(*files.list("/d") == std::vector<std::string>{"g", "h"});
  REQUIRE(files.truncate("/d/g", 2).ok());
  CHECK(*files.file_size("/d/h") == 2);
  CHECK(files.remove_dir("/d").code() == StatusCode::kIoError);
  CHECK(files.remove("/d").code() == StatusCode::kIoError);
  CHECK(files.remove("/d/g").ok());
  CHECK(files.remove("/d/g").is_not_found());
  CHECK(files.replace_whole("/d", "h", "other").ok());
  CHECK(*files.read_whole("/d/h") == "other");
  CHECK(files.all_files() == std::vector<std::string>{"/d/h"});

  auto held = files.lock("/LOCK");
  REQUIRE(held.ok());
  CHECK(files.lock("/LOCK").status().is_busy());
  held->reset();
  CHECK(files.lock("/LOCK").ok());
  CHECK(files.rename("/d", "/d/e").code() == StatusCode::kIoError);
  CHECK(files.rename("/d", "/dd").ok());
  CHECK(files.exists("/dd/h"));
}

TEST_CASE("synced blocks always survive, unsynced ones may be kept, lost, zeroed or garbled") {
  CrashFs files;
  auto file = make_durable(&files, "/f", block_of('a') + block_of('b'));
  REQUIRE(file->write_at(kBlock, block_of('B')).ok());
  bool kept = false, dropped = false, zeroed = false, garbled = false;
  for (const std::string& bytes : outcomes(files, "/f")) {
    REQUIRE(bytes.size() == 2 * kBlock);
    CHECK(bytes.substr(0, kBlock) == block_of('a'));
    std::string second = bytes.substr(kBlock);
    if (second == block_of('B'))
      kept = true;
    else if (second == block_of('b'))
      dropped = true;
    else if (second == block_of('\0'))
      zeroed = true;
    else
      garbled = true;
  }
  CHECK((kept && dropped && zeroed && garbled));

  REQUIRE(file->sync().ok());
  CHECK(outcomes(files, "/f") == std::set<std::string>{block_of('a') + block_of('B')});
}

TEST_CASE("an older unsynced write may survive a newer one to the same block") {
  CrashFs files;
  auto file = make_durable(&files, "/f", block_of('0'));
  for (char c : {'1', '2', '3'}) REQUIRE(file->write_at(0, block_of(c)).ok());
  CrashPolicy policy{.keep = 1, .drop = 1, .earlier = 1, .zero = 0, .garble = 0};
  CHECK(outcomes(files, "/f", policy) ==
        std::set<std::string>{block_of('0'), block_of('1'), block_of('2'), block_of('3')});
}

TEST_CASE("unsynced growth: empty, short, complete; close does not sync") {
  CrashFs files;
  auto file = make_durable(&files, "/f", "");
  for (int i = 0; i < 4; ++i) REQUIRE(file->write_at(static_cast<uint64_t>(i) * kBlock, block_of('x')).ok());
  REQUIRE(file->close().ok());
  std::set<size_t> sizes;
  bool complete = false;
  for (const std::string& bytes : outcomes(files, "/f")) {
    CHECK(bytes.size() <= 4 * kBlock);
    sizes.insert(bytes.size());
    if (bytes == std::string(4 * kBlock, 'x')) complete = true;
  }
  CHECK(sizes.contains(0));
  CHECK(sizes.size() > 10);
  CHECK(complete);
  CHECK(outcomes(files, "/f", CrashPolicy::drop_all()) == std::set<std::string>{""});
  CHECK(outcomes(files, "/f", CrashPolicy::keep_all()) ==
        std::set<std::string>{std::string(4 * kBlock, 'x')});
}

TEST_CASE("a write behind a hole leaves the synced block before the hole alone") {
  CrashFs files;
  auto file = make_durable(&files, "/f", "synced");
  REQUIRE(file->write_at(4 * kBlock, block_of('x')).ok());
  for (const std::string& bytes : outcomes(files, "/f")) CHECK(bytes.substr(0, 6) == "synced");
}

TEST_CASE("an unsynced append into a half-filled block endangers the synced half") {
  CrashFs files;
  auto file = make_durable(&files, "/f", "synced");
  REQUIRE(file->write_at(6, "more").ok());
  int damaged = 0;
  for (const std::string& bytes : outcomes(files, "/f")) damaged += bytes.substr(0, 6) != "synced";
  CHECK(damaged > 0);
}

TEST_CASE("truncation is not durable until synced, and cut bytes do not come back as synced ones") {
  CrashFs files;
  auto file = make_durable(&files, "/f", block_of('a') + block_of('b'));
  REQUIRE(files.truncate("/f", kBlock).ok());
  CHECK(outcomes(files, "/f", CrashPolicy::drop_all()) ==
        std::set<std::string>{block_of('a') + block_of('b')});
  REQUIRE(file->sync().ok());
  CHECK(outcomes(files, "/f") == std::set<std::string>{block_of('a')});

  REQUIRE(files.truncate("/f", 0).ok());
  REQUIRE(files.truncate("/f", kBlock).ok());
  CHECK(files.contents("/f") == block_of('\0'));
  REQUIRE(file->sync().ok());
  CHECK(outcomes(files, "/f") == std::set<std::string>{block_of('\0')});
}

TEST_CASE("a failed sync loses its blocks: readable now, gone after a crash, a second sync does not help") {
  CrashFs files;
  auto file = make_durable(&files, "/f", block_of('a') + block_of('b'));
  REQUIRE(file->write_at(0, block_of('A')).ok());
  files.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kSync});
  CHECK(file->sync().code() == StatusCode::kIoError);
  REQUIRE(file->write_at(kBlock, block_of('B')).ok());
  CHECK(file->sync().ok());
  CHECK(files.contents("/f") == block_of('A') + block_of('B'));
  CHECK(outcomes(files, "/f") == std::set<std::string>{block_of('a') + block_of('B')});

  // Writing the block again makes it dirty again.
  REQUIRE(file->write_at(0, "A").ok());
  CHECK(file->sync().ok());
  CHECK(outcomes(files, "/f") == std::set<std::string>{block_of('A') + block_of('B')});
}

TEST_CASE("a failed sync after growth, and a later one that succeeds further on") {
  CrashFs files;
  auto file = make_durable(&files, "/f", "");
  REQUIRE(file->write_at(0, block_of('a')).ok());
  files.add_fault({.kind = Fault::Kind::kNoSpace, .call = Call::kSync});
  CHECK(file->sync().is_no_space());
  CHECK(outcomes(files, "/f") == std::set<std::string>{""});
  REQUIRE(file->write_at(kBlock, block_of('b')).ok());
  CHECK(file->sync().ok());
  CHECK(outcomes(files, "/f") == std::set<std::string>{block_of('\0') + block_of('b')});
}

TEST_CASE("names need their directory synced; syncing the file does not do it") {
  CrashFs files;
  REQUIRE(files.create_dir("/d").ok());
  REQUIRE(files.sync_dir("/").ok());
  auto file = make_file(&files, "/d/f", "bytes");
  REQUIRE(file->sync().ok());
  CHECK(outcomes(files, "/d/f") == std::set<std::string>{"-", "bytes"});
  REQUIRE(files.sync_dir("/d").ok());
  CHECK(outcomes(files, "/d/f") == std::set<std::string>{"bytes"});
  REQUIRE(files.remove("/d/f").ok());
  CHECK(outcomes(files, "/d/f") == std::set<std::string>{"-", "bytes"});
  REQUIRE(files.sync_dir("/d").ok());
  CHECK(outcomes(files, "/d/f") == std::set<std::string>{"-"});
}

TEST_CASE("a directory whose own name is not durable takes everything with it") {
  CrashFs files;
  REQUIRE(files.create_dir("/d").ok());
  auto file = make_file(&files, "/d/f", "bytes");
  REQUIRE(file->sync().ok());
  REQUIRE(files.sync_dir("/d").ok());
  CHECK(outcomes(files, "/d/f") == std::set<std::string>{"-", "bytes"});
}

TEST_CASE("a rename within a directory is atomic, between two it is not") {
  CrashFs files;
  files.put("/d/new", "new");
  files.put("/d/current", "old");
  REQUIRE(files.rename("/d/new", "/d/current").ok());
  CHECK(name_outcomes(files, "/d") == std::set<std::string>{"current", "current new"});
  CHECK(outcomes(files, "/d/current") == std::set<std::string>{"old", "new"});
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    auto after = files.crashed_copy({}, seed);
    CHECK(after->exists("/d/new") == (after->contents("/d/current") == "old"));
  }

  files.put("/e/x", "moved");
  REQUIRE(files.rename("/e/x", "/d/x").ok());
  REQUIRE(files.sync_dir("/d").ok());
  CHECK(outcomes(files, "/d/x") == std::set<std::string>{"moved"});
  CHECK(outcomes(files, "/e/x") == std::set<std::string>{"moved", "-"});
}

TEST_CASE("directory changes survive as any subset, or as a prefix when asked") {
  CrashFs files;
  for (const char* name : {"/a", "/b"}) make_file(&files, name);
  CHECK(name_outcomes(files, "/") == std::set<std::string>{"", "a", "b", "a b"});
  CrashPolicy in_order;
  in_order.reorder_names = false;
  CHECK(name_outcomes(files, "/", in_order) == std::set<std::string>{"", "a", "a b"});
}

TEST_CASE("a failed directory sync loses its changes for good") {
  CrashFs files;
  make_file(&files, "/a");
  files.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kSyncDir});
  CHECK(files.sync_dir("/").code() == StatusCode::kIoError);
  make_file(&files, "/b");
  CHECK(files.sync_dir("/").ok());
  CHECK(*files.list("/") == std::vector<std::string>{"a", "b"});
  CHECK(name_outcomes(files, "/") == std::set<std::string>{"b"});
}

TEST_CASE("two names stay one file over a crash") {
  CrashFs files;
  files.put("/f", block_of('a'));
  REQUIRE(files.link("/f", "/g").ok());
  REQUIRE(files.sync_dir("/").ok());
  auto file = files.open_write("/f");
  REQUIRE((*file)->write_at(0, block_of('b')).ok());
  for (uint64_t seed = 0; seed < 50; ++seed) {
    auto after = files.crashed_copy({}, seed);
    CHECK(after->contents("/f") == after->contents("/g"));
    after->flip_bit("/f", 0);
    CHECK(after->contents("/f") == after->contents("/g"));
  }
}

TEST_CASE(
    "a crash at the n-th call: everything fails until the restart, then handles are dead and locks free") {
  CrashFs files;
  auto held = files.lock("/LOCK");
  REQUIRE(held.ok());
  auto file = make_durable(&files, "/f", "synced");
  auto reader = files.open_read("/f");
  files.add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = 2});
  CHECK(files.file_size("/f").ok());  // no change: not counted
  CHECK(file->write_at(0, "S").ok());
  CHECK(!files.crashed());
  CHECK(file->sync().to_string() == "I/O error: /f: sync: simulated power cut");
  CHECK(files.crashed());
  CHECK(files.faults_fired() == 1);
  CHECK(file->write_at(0, "T").to_string() == "I/O error: /f: write: simulated power cut earlier");
  CHECK(files.create("/g").status().code() == StatusCode::kIoError);
  CHECK(files.list("/").status().code() == StatusCode::kIoError);
  Buffer out;
  CHECK(!(*reader)->read_at_nowait(0, 1, &out));
  CHECK(outcomes(files, "/f", {.keep = 1, .drop = 1, .earlier = 0, .zero = 0, .garble = 0}) ==
        std::set<std::string>{"synced", "Synced"});

  files.crash(CrashPolicy::drop_all(), 1);
  CHECK(!files.crashed());
  CHECK(files.contents("/f") == "synced");
  CHECK(file->write_at(0, "U").code() == StatusCode::kIoError);
  CHECK(file->sync().code() == StatusCode::kIoError);
  CHECK((*reader)->read_at(0, 1, &out).code() == StatusCode::kIoError);
  CHECK(files.contents("/f") == "synced");

  auto again = files.lock("/LOCK");
  CHECK(again.ok());
  held->reset();  // of the earlier life: must not free the new one
  CHECK(files.lock("/LOCK").status().is_busy());
  CHECK(files.replace_whole("/", "f", "next life").ok());  // the crash fault does not fire again
}

TEST_CASE("the call at which the power goes may have had its effect, or not") {
  CrashFs files;
  files.add_fault({.kind = Fault::Kind::kCrash, .call = Call::kCreate});
  CHECK(files.create("/f").status().code() == StatusCode::kIoError);
  CHECK(outcomes(files, "/f") == std::set<std::string>{"-", ""});
}

TEST_CASE("faults are aimed by call, path and number") {
  CrashFs files;
  SUBCASE("once") {
    files.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kCreate, .nth = 2});
    CHECK(files.create("/a").ok());
    CHECK(files.create("/b").status().to_string() == "I/O error: /b: create: simulated I/O error");
    CHECK(files.create("/b").ok());
    CHECK(files.faults_fired() == 1);
  }
  SUBCASE("from then on, until cleared") {
    files.add_fault({.kind = Fault::Kind::kNoSpace, .path = "*.log", .nth = 2, .once = false});
    CHECK(files.create("/a.log").ok());
    CHECK(files.create("/a.sst").ok());
    CHECK(files.create("/b.log").status().is_no_space());
    CHECK(files.rename("/a.sst", "/c.log").is_no_space());
    CHECK(files.rename("/a.sst", "/b.sst").ok());
    files.clear_faults();
    CHECK(files.create("/b.log").ok());
  }
  SUBCASE("a short write leaves half") {
    auto file = make_file(&files, "/f");
    files.add_fault({.kind = Fault::Kind::kShortWrite, .call = Call::kWrite});
    CHECK(file->write_at(0, "0123456789").is_no_space());
    CHECK(files.contents("/f") == "01234");
  }
  SUBCASE("nowait reads and exists answer what is safe") {
    files.put("/f", "x");
    auto file = files.open_read("/f");
    files.add_fault({.kind = Fault::Kind::kIoError, .once = false});
    Buffer out;
    CHECK(!(*file)->read_at_nowait(0, 1, &out));
    CHECK(files.exists("/none"));
  }
}

TEST_CASE("calls are counted by kind") {
  CrashFs files;
  auto file = make_file(&files, "/f", "x");
  REQUIRE(file->sync().ok());
  CHECK(files.list("/").ok());
  CHECK(files.calls(Call::kCreate) == 1);
  CHECK(files.calls(Call::kWrite) == 1);
  CHECK(files.calls(Call::kSync) == 1);
  CHECK(files.calls(Call::kRead) == 0);
  CHECK(files.calls() == 4);
  CHECK(files.changes() == 3);
}

TEST_CASE("the space limit: what fits is written, overwriting is free, deleting gives back, limits move") {
  CrashFs files;
  files.set_space(1000);
  auto file = make_file(&files, "/f", std::string(800, 'x'));
  CHECK(*files.free_space("/") == 200);
  CHECK(file->write_at(700, std::string(400, 'y')).is_no_space());
  CHECK(*files.file_size("/f") == 1000);
  CHECK(files.contents("/f") == std::string(700, 'x') + std::string(300, 'y'));
  CHECK(file->write_at(0, std::string(1000, 'z')).ok());
  CHECK(files.create("/g").status().is_no_space());
  CHECK(files.truncate("/f", 2000).is_no_space());

  files.set_space(500);  // someone else filled the disk
  CHECK(*files.free_space("/") == 0);
  files.set_space(1500);
  CHECK(files.create("/g").ok());
  CHECK(file->write_at(1000, "more").ok());
  CHECK(files.used_space() == 1004);
  REQUIRE(files.link("/f", "/h").ok());
  REQUIRE(files.remove("/f").ok());
  CHECK(files.used_space() == 1004);
  REQUIRE(files.rename("/h", "/g").ok());
  CHECK(files.used_space() == 1004);
  REQUIRE(files.remove("/g").ok());
  CHECK(files.used_space() == 0);
  files.crash(CrashPolicy::drop_all(), 1);
  CHECK(files.used_space() == 0);  // nothing of this was durable
}

TEST_CASE("some nowait reads miss, the same ones for the same seed") {
  auto hits = [](uint64_t seed) {
    CrashFs::Options options;
    options.nowait_percent = 50;
    options.nowait_seed = seed;
    CrashFs files(options);
    files.put("/f", "x");
    auto file = files.open_read("/f");
    std::string text;
    Buffer out;
    for (int i = 0; i < 40; ++i) text += (*file)->read_at_nowait(0, 1, &out) ? '1' : '0';
    return text;
  };
  CHECK(hits(1) == hits(1));
  CHECK(hits(1) != hits(2));
  CHECK(hits(1).find('0') != std::string::npos);
  CHECK(hits(1).find('1') != std::string::npos);
}

TEST_CASE("the same seed leaves the same disk") {
  CrashFs files;
  for (int i = 0; i < 10; ++i) {
    auto file = make_file(&files, fmt::format("/f{}", i), std::string(3000, static_cast<char>('a' + i)));
    if (i % 3 == 0) REQUIRE(file->sync().ok());
    if (i % 4 == 0) REQUIRE(files.sync_dir("/").ok());
  }
  auto dump = [&](uint64_t seed) {
    auto after = files.crashed_copy({}, seed);
    std::string text;
    for (const std::string& path : after->all_files()) text += path + " " + after->contents(path) + "\n";
    return text;
  };
  CHECK(dump(7) == dump(7));
  CHECK(dump(7) != dump(8));
}

TEST_CASE("damage at rest, and fixtures in and out") {
  CrashFs files;
  files.put("/d/sub/f", "0123456789");
  files.flip_bit("/d/sub/f", 8 * 9);
  CHECK(files.contents("/d/sub/f") == "0123456788");
  files.swap_bytes("/d/sub/f", 0, 5, 2);
  CHECK(files.contents("/d/sub/f") == "5623401788");
  files.overwrite("/d/sub/f", 1, "ab");
  files.cut("/d/sub/f", 4);
  CHECK(files.contents("/d/sub/f") == "5ab3");
  CHECK(outcomes(files, "/d/sub/f") == std::set<std::string>{"5ab3"});

  TemporaryDirectory directory;
  files.put("/d/g", "");
  REQUIRE(files.copy_out("/d", directory.path()).ok());
  CrashFs others;
  REQUIRE(others.copy_in(directory.path(), "/x").ok());
  CHECK(others.all_files() == std::vector<std::string>{"/x/g", "/x/sub/f"});
  CHECK(others.contents("/x/sub/f") == "5ab3");
  CHECK(others.debug_string() == "/\n  x/\n    g 0 bytes\n    sub/\n      f 4 bytes\n");
}

TEST_CASE("the real pool may drive it from many threads") {
  CrashFs files;
  constexpr int kFiles = 24;
  int written = 0;
  {
    ThreadExecutor pool({});
    for (int i = 0; i < kFiles; ++i) {
      pool.submit(
          i % 2 == 0 ? Lane::kRead : Lane::kCompact,
          [&files, i] {
            auto file = files.create(fmt::format("/f{:02}", i));
            if (!file) return file.status();
            for (uint64_t n = 0; n < 20; ++n) {
              if (Status s = (*file)->write_at(n * 100, std::string(100, static_cast<char>('a' + i))); !s)
                return s;
            }
            if (Status s = (*file)->sync(); !s) return s;
            return files.sync_dir("/");
          },
          [&](Status s) { written += s.ok(); });
    }
  }
  CHECK(written == kFiles);
  CHECK(files.calls(Call::kWrite) == kFiles * 20);
  files.crash({}, 1);
  REQUIRE(files.all_files().size() == kFiles);
  CHECK(files.contents("/f03") == std::string(2000, 'd'));
}

// Goal: replace_whole (os/file_system.h) keeps its promise. Method: lose power at each of its calls.
TEST_CASE("replace_whole leaves the old bytes or the new ones, wherever the power goes") {
  const std::string before(700, 'o'), after(900, 'n');
  std::set<std::string> seen;
  for (uint64_t nth = 1; nth <= 5; ++nth) {
    CrashFs files;
    files.put("/d/f", before);
    files.add_fault({.kind = Fault::Kind::kCrash, .changes_only = true, .nth = nth});
    // The first call removes what a crash may have left, the last one syncs the directory.
    CHECK(!files.replace_whole("/d", "f", after).ok());
    REQUIRE(files.crashed());
    for (const std::string& bytes : outcomes(files, "/d/f")) {
      CHECK((bytes == before || bytes == after));
      seen.insert(bytes);
    }
  }
  CHECK(seen.size() == 2);
}

TEST_CASE("crash_fs: a killed process leaves the page cache, which a later power cut takes") {
  CrashFs files;
  REQUIRE(files.create_dir("/d").ok());
  auto file = files.create("/d/f");
  REQUIRE(file.ok());
  REQUIRE((*file)->write_at(0, "synced").ok());
  REQUIRE((*file)->sync().ok());
  REQUIRE(files.sync_dir("/d").ok());
  REQUIRE(files.sync_dir("/").ok());
  REQUIRE((*file)->write_at(0, "cached").ok());
  auto lock = files.lock("/d/LOCK");
  REQUIRE(lock.ok());

  files.kill_process();
  CHECK(files.contents("/d/f") == "cached");
  CHECK(!(*file)->write_at(0, "zombie").ok());
  CHECK(files.contents("/d/f") == "cached");
  CHECK(files.lock("/d/LOCK").ok());

  files.crash(CrashPolicy::drop_all(), 1);
  CHECK(files.contents("/d/f") == "synced");
}

TEST_CASE("crash_fs: tells which calls failed and how") {
  CrashFs files;
  files.add_fault({.kind = Fault::Kind::kIoError, .call = Call::kCreate});
  CHECK(!files.create("/a").ok());
  files.set_space(2);
  auto file = files.create("/a");
  REQUIRE(file.ok());
  CHECK(!(*file)->write_at(0, "abc").ok());
  auto fired = files.fired();
  CHECK(fired.size() == 2);
  CHECK(fired[{Fault::Kind::kIoError, Call::kCreate}] == 1);
  CHECK(fired[{Fault::Kind::kNoSpace, Call::kWrite}] == 1);
}

}  // namespace varve::test
