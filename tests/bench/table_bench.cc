// How long a table's reader takes when every block is in memory: point lookups that hit, lookups the filter
// answers, seeks with a walk of 50; and building. Nanoseconds of processor time, best of several rounds
// (machines are noisy; this is what is steadiest).
//
//   table_bench [--tiny] [--records N] [--operations N] [--block BYTES] [--restart N] [--value BYTES]
//   [--hash] [--random-keys]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/coding.h"
#include "base/random.h"
#include "lsm/block_cache.h"
#include "lsm/table.h"
#include "lsm/table_builder.h"
#include "support/bytes_fs.h"

namespace varve {
namespace {

// As the engine's: the cache first, the file behind it.
class CachedSource final : public BlockSource {
 public:
  CachedSource(BlockCache* cache, FileSystem& fs) : cache_(cache), files_(new_direct_source(fs, "/", 0)) {}
  IterState get(const TableRef& table, BlockHandle handle, BlockKind kind, BlockRef* out) override {
    *out = cache_->lookup(table->meta.number, handle.offset);
    if (*out) return IterState::kValid;
    IterState state = files_->get(table, handle, kind, out);
    if (state == IterState::kValid) *out = cache_->insert(table->meta.number, handle.offset, *out);
    return state;
  }
  Status status() const override { return files_->status(); }

 private:
  BlockCache* cache_;
  std::unique_ptr<BlockSource> files_;
};

struct Settings {
  int records = 1'000'000;
  int operations = 1000000;
  int rounds = 5;
  size_t value_size = 100;
  bool random_keys = false;
  TableOptions options;
};

class TableBench {
 public:
  explicit TableBench(const Settings& settings)
      : s_(settings), cache_(size_t{4} << 30), source_(&cache_, fs_) {}

  int run() {
    make_keys();
    measure("build, per record", s_.records, [&] { build(); });
    auto table = open_table(fs_, "/", meta_);
    if (!table) {
      fmt::print("{}\n", table.status().to_string());
      return 1;
    }
    table_ = table.take();
    fmt::print("{} records, {} data blocks, {} bytes\n", meta_.records, meta_.data_blocks, meta_.file_size);
    measure("get, hit", s_.operations, [&] { get(keys_, true); });
    measure("get, absent", s_.operations, [&] { get(absent_, false); });
    measure("seek", s_.operations / 10, [&] { walk(s_.operations / 10, 0); });
    measure("seek and next 50", s_.operations / 50, [&] { walk(s_.operations / 50, 50); });
    measure("scan, per record", s_.records, [&] { scan(true); });
    measure("scan backwards, per record", s_.records, [&] { scan(false); });
    return failed_ ? 1 : 0;
  }

 private:
  void make_keys() {
    Random random(1);
    for (int i = 0; i < s_.records; ++i) {
      uint64_t n = s_.random_keys ? random.next() : static_cast<uint64_t>(i);
      keys_.push_back(fmt::format("user:{:016x}", n));
    }
    std::sort(keys_.begin(), keys_.end());
    for (const std::string& key : keys_) absent_.push_back(key + "x");
    for (int i = 0; i < s_.operations; ++i)
      order_.push_back(static_cast<uint32_t>(random.below(keys_.size())));
  }

  void build() {
    std::string path = "/" + table_file_name(1);
    (void)fs_.remove(path);
    TableBuilder builder(s_.options, fs_.create(path).take(), 1, Identity{1, 2});
    std::string value(s_.value_size, 'v');
    Random random(2);
    for (const std::string& key : keys_) {
      for (size_t i = 0; i + 8 <= value.size(); i += 16) encode_fixed64(value.data() + i, random.next());
      builder.add(key, Tag::make(1'000'000'000, Kind::kPut), value);
    }
    auto meta = builder.finish();
    if (meta)
      meta_ = *meta;
    else
      failed_ = true;
  }

  void get(const std::vector<std::string>& keys, bool expected) {
    for (uint32_t i : order_) {
      TableHit hit;
      const std::string& key = keys[i];
      if (table_get(source_, table_, key, hash_key(key), kMaxSequence, &hit) != IterState::kValid)
        failed_ = true;
      if (hit.found != expected) failed_ = true;
    }
  }

  void walk(int count, int steps) {
    auto it = new_table_iterator(&source_, table_);
    for (int i = 0; i < count; ++i) {
      it->seek(keys_[order_[static_cast<size_t>(i)]]);
      for (int n = steps; n > 0 && it->valid(); --n) it->next();
    }
  }

  void scan(bool forward) {
    auto it = new_table_iterator(&source_, table_);
    int count = 0;
    for (forward ? it->seek_to_first() : it->seek_to_last(); it->valid(); forward ? it->next() : it->prev())
      ++count;
    if (count != s_.records) failed_ = true;
  }

  void measure(const char* what, int operations, const std::function<void()>& work) {
    double best = 1e18;
    for (int round = 0; round < s_.rounds; ++round) {
      std::clock_t start = std::clock();
      work();
      double ns = 1e9 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      best = std::min(best, ns / std::max(1, operations));
    }
    fmt::print("{:28} {:9.1f} ns\n", what, best);
  }

  Settings s_;
  test::BytesFs fs_;
  BlockCache cache_;
  CachedSource source_;
  std::vector<std::string> keys_, absent_;
  std::vector<uint32_t> order_;
  TableMeta meta_;
  TableRef table_;
  bool failed_ = false;
};

int bench_main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (flag == "--tiny")
      settings.records = settings.operations = 2000, settings.rounds = 1;
    else if (flag == "--records")
      settings.records = number();
    else if (flag == "--operations")
      settings.operations = number();
    else if (flag == "--block")
      settings.options.block_size = static_cast<size_t>(number());
    else if (flag == "--restart")
      settings.options.restart_interval = number();
    else if (flag == "--value")
      settings.value_size = static_cast<size_t>(number());
    else if (flag == "--hash")
      settings.options.hash_index = true;
    else if (flag == "--random-keys")
      settings.random_keys = true;
  }
  return TableBench(settings).run();
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  return varve::bench_main(argc, argv);
}
