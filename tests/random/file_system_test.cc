// Goal: the simulated disk behaves like the machine's as long as nothing crashes. Method: the same random
// calls on both; every status code, every listing and every byte must agree.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "os/file_system.h"
#include "support/crash_fs.h"
#include "support/script.h"

namespace varve::test {
namespace {

// Both file systems, one call at a time; paths are below `root` there and below "/" here.
class Pair {
 public:
  // Returns the line that describes the call, with a trailing "!" line when the two disagree.
  std::string random_call(Random* random) {
    const std::string a = random_path(random), b = random_path(random);
    const uint64_t offset = random->below(3000);
    const std::string bytes(random->below(2000), static_cast<char>('a' + random->below(26)));
    switch (random->below(16)) {
      case 0:
        return compare("create " + a, [&](FileSystem& fs, auto at) { return code(fs.create(at(a))); });
      case 1:
      case 2:
      case 3:
        return compare(fmt::format("write {} {}+{}", a, offset, bytes.size()), [&](FileSystem& fs, auto at) {
          auto file = fs.open_write(at(a));
          if (!file) return code(file);
          return code((*file)->write_at(offset, bytes));
        });
      case 4:
        return compare("create_dir " + a,
                       [&](FileSystem& fs, auto at) { return code(fs.create_dir(at(a))); });
      case 5:
        return compare("remove_dir " + a,
                       [&](FileSystem& fs, auto at) { return code(fs.remove_dir(at(a))); });
      case 6:
        return compare("remove " + a, [&](FileSystem& fs, auto at) { return code(fs.remove(at(a))); });
      case 7:
        return compare("rename " + a + " " + b,
                       [&](FileSystem& fs, auto at) { return code(fs.rename(at(a), at(b))); });
      case 8:
        return compare("link " + a + " " + b,
                       [&](FileSystem& fs, auto at) { return code(fs.link(at(a), at(b))); });
      case 9:
        return compare(fmt::format("truncate {} {}", a, offset),
                       [&](FileSystem& fs, auto at) { return code(fs.truncate(at(a), offset)); });
      case 10:
        return compare(fmt::format("read {} {}+{}", a, offset, bytes.size()), [&](FileSystem& fs, auto at) {
          auto file = fs.open_read(at(a));
          if (!file) return code(file);
          Buffer out;
          std::string result = code((*file)->read_at(offset, bytes.size(), &out));
          return fmt::format("{} {} {}", result, (*file)->size(), out.view());
        });
      case 11:
        return compare("exists " + a,
                       [&](FileSystem& fs, auto at) { return std::to_string(fs.exists(at(a))); });
      case 14:
        return compare("file_size " + a, [&](FileSystem& fs, auto at) {
          auto size = fs.file_size(at(a));
          return size ? std::to_string(*size) : code(size);
        });
      case 12:
        return compare("sync_dir " + a, [&](FileSystem& fs, auto at) { return code(fs.sync_dir(at(a))); });
      case 13:
        return compare("list " + a, [&](FileSystem& fs, auto at) {
          auto names = fs.list(at(a));
          return names ? fmt::format("{}", fmt::join(*names, " ")) : code(names);
        });
      default:
        return compare("replace_whole " + a, [&](FileSystem& fs, auto at) {
          return code(fs.replace_whole(at("/"), a.substr(a.rfind('/') + 1), bytes));
        });
    }
  }

  // Everything both hold, byte for byte.
  void compare_everything() {
    CrashFs real;
    REQUIRE(real.copy_in(directory_.path(), "/").ok());
    REQUIRE(real.all_files() == simulated_.all_files());
    for (const std::string& path : real.all_files()) CHECK(real.contents(path) == simulated_.contents(path));
  }

 private:
  static std::string random_path(Random* random) {
    static const std::vector<std::string> paths = {"/a",   "/b",   "/c",     "/d",  "/d/a",
                                                   "/d/b", "/d/e", "/d/e/a", "/x/a"};
    return paths[random->below(paths.size())];
  }
  static std::string code(const Status& status) { return status_code_name(status.code()); }
  template <class T>
  static std::string code(const Result<T>& result) {
    return result ? "ok" : code(result.status());
  }

  template <class Call>
  std::string compare(const std::string& what, Call call) {
    std::string real =
        call(posix_file_system(), [&](const std::string& path) { return directory_.path() + path; });
    std::string simulated = call(simulated_, [](const std::string& path) { return path; });
    if (real == simulated) return what;
    return fmt::format("{}\n! real: {}\n! simulated: {}", what, real, simulated);
  }

  TemporaryDirectory directory_;
  CrashFs simulated_;
};

}  // namespace

TEST_CASE("without crashes the simulated disk is like the real one") {
  const uint64_t first = test_seed(1);
  for (uint64_t seed = first; seed < first + 5; ++seed) {
    CAPTURE(seed);  // VARVE_SEED=<seed> starts with it
    Random random(seed);
    Pair pair;
    std::string history;
    for (int i = 0; i < 400; ++i) {
      history += pair.random_call(&random) + "\n";
      bool agree = history.find('!') == std::string::npos;
      REQUIRE_MESSAGE(agree, history);
    }
    pair.compare_everything();
  }
}

}  // namespace varve::test
