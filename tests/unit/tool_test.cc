// Goal: varve-tool's commands say what a person needs, and their exit codes can be relied on. Method: the
// tool's command line on copies of the fixture, as it is and slightly wrong.
#include "tool/tool.h"

#include <doctest/doctest.h>

#include "base/coding.h"
#include "fixture/fixture.h"
#include "fixture/open_directory.h"
#include "support/crash_fs.h"

namespace varve::test {
namespace {

struct Run {
  int code = 0;
  std::string out, error;

  explicit Run(const std::vector<std::string>& args, FileSystem& fs = posix_file_system()) {
    auto into = [](std::string* text) {
      return [text](std::string_view line) { *text += std::string(line) + "\n"; };
    };
    code = tool::run_tool(fs, args, into(&out), into(&error));
  }
  bool says(const std::string& text) const { return out.find(text) != std::string::npos; }
};

}  // namespace

TEST_CASE("the command line") {
  CHECK(Run({"--help"}).code == 0);
  CHECK(Run({"--help"}).says("varve-tool salvage DIR OUT"));
  CHECK(Run({"--version"}).says("varve-tool v="));
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{},
                                             {"frobnicate"},
                                             {"dump"},
                                             {"dump", "wal"},
                                             {"check"},
                                             {"check", "a", "b"},
                                             {"salvage", "a"},
                                             {"check", "a", "--loud"},
                                             {"dump", "wal", "a", "--applicatio", "x"}}) {
    Run run(wrong);
    CHECK(run.code == 2);
    CHECK(run.error.find("usage: varve-tool") != std::string::npos);
    CHECK(run.out.empty());
  }
  CHECK(Run({"dump", "soup", "/x"}).code == 2);
}

TEST_CASE("dump shows each kind of file") {
  Fixture fixture;
  std::string in = fixture.path() + "/";
  Run manifest({"dump", "manifest", in + fixture.manifest()});
  CHECK(manifest.code == 0);
  CHECK(manifest.says("application \"varve-redis\""));
  CHECK(manifest.says("snapshot at edit"));

  std::string all;
  for (const auto& [number, added] : fixture.state().tables) {
    Run table({"dump", "table", in + table_file_name(number), "--records"});
    CHECK(table.code == 0);
    CHECK(table.says("table " + std::to_string(number) + " identity " + added.meta.identity.to_string()));
    all += table.out;
  }
  CHECK(all.find("core:059") != std::string::npos);
  CHECK(all.find("range-deletes at") != std::string::npos);

  std::string logs;
  for (const LogSegment& segment : fixture.state().log) {
    Run log({"dump", "wal", in + log_file_name(segment.number), "--ops"});
    CHECK(log.code == 0);
    logs += log.out;
  }
  CHECK(logs.find("late:expires") != std::string::npos);
  CHECK(logs.find("watermark at sequence") != std::string::npos);

  CHECK(Run({"dump", "table", in + "nothing.sst"}).code == 2);
  CHECK(Run({"dump", "table", in + fixture.manifest()}).code == 1);
  CHECK(fixture.unchanged_since_write());
}

TEST_CASE("check: intact, in use, not a directory of ours, newer") {
  Fixture fixture;
  Run intact({"check", fixture.path()});
  CHECK(intact.code == 0);
  CHECK(intact.says("intact: "));
  CHECK_FALSE(intact.says("damage"));
  CHECK(fixture.unchanged_since_write());

  CHECK(Run({"check", fixture.beside("nothing")}).code == 2);
  REQUIRE(posix_file_system().create_dir(fixture.beside("empty")).ok());
  CHECK(Run({"check", fixture.beside("empty")}).code == 2);
  {
    OpenDirectory server(fixture.path());
    REQUIRE(server.status().ok());
    Run busy({"check", fixture.path()});
    CHECK(busy.code == 2);
    CHECK(busy.error.find("in use by a running server") != std::string::npos);
    CHECK(Run({"salvage", fixture.path(), fixture.beside("out")}).code == 2);
    server.close();
  }
  CHECK(Run({"check", fixture.path()}).code == 0);
}

TEST_CASE("check names what no manifest names, and does not call it damage") {
  Fixture fixture;
  fixture.write("00000001.sst", "an unfinished table");
  fixture.write("00000002.log", "an unfinished segment");
  fixture.write("notes.txt", "somebody's");
  Run run({"check", fixture.path()});
  CHECK(run.code == 0);
  CHECK(run.says("note: 00000001.sst: no manifest names it"));
  CHECK(run.says("note: 00000002.log: a spare log segment"));
  CHECK(run.says("note: notes.txt: not one of ours"));
}

TEST_CASE("salvage refuses a place that is not its own") {
  Fixture fixture;
  REQUIRE(posix_file_system().create_dir(fixture.beside("full")).ok());
  REQUIRE(posix_file_system().create_dir(fixture.beside("full/inside")).ok());
  CHECK(Run({"salvage", fixture.path(), fixture.beside("full")}).code == 2);
  CHECK(Run({"salvage", fixture.path(), fixture.path() + "/out"}).code == 2);
  CHECK(Run({"salvage", fixture.beside("full"), fixture.beside("out")}).code == 2);
  CHECK(fixture.unchanged_since_write());
}

TEST_CASE("salvage advises to remove only what it has made") {
  Fixture fixture;
  REQUIRE(posix_file_system().create_dir(fixture.beside("full")).ok());
  REQUIRE(posix_file_system().create_dir(fixture.beside("full/inside")).ok());
  for (const std::string& refused : {fixture.path(), fixture.path() + "/.", fixture.path() + "/",
                                     fixture.beside("full"), fixture.path() + "/out"}) {
    Run run({"salvage", fixture.path(), refused});
    INFO(run.error);
    CHECK(run.code == 2);
    CHECK(run.error.find("remove") == std::string::npos);
    bool same = refused.starts_with(fixture.path()) && !refused.ends_with("/out");
    CHECK((run.error.find(": is " + fixture.path() + " itself") != std::string::npos) == same);
  }
  // One that fails half way: the output cannot hold its own tables.
  CrashFs files;
  auto names = posix_file_system().list(fixture.path());
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    files.put("/db/" + name, *posix_file_system().read_whole(fixture.path() + "/" + name));
  }
  files.set_space(files.used_space() + 4096);
  Run run({"salvage", "/db", "/out"}, files);
  CHECK(run.code == 2);
  CHECK(run.error.find("/out is not finished: remove what is in it") != std::string::npos);
  CHECK(fixture.unchanged_since_write());
}

}  // namespace varve::test
