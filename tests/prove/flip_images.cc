#include "prove/flip_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "lsm/manifest.h"
#include "lsm/table.h"
#include "lsm/wal_segment.h"
#include "support/crash_fs.h"

namespace varve::prove {
namespace {

constexpr int64_t kYear2100 = 4'102'444'800'000;

void must(const Status& status) {
  if (!status) fmt::print(stderr, "flip: an image could not be built: {}\n", status.to_string());
  VARVE_CHECK(status.ok());
}

Files files_in(const test::CrashFs& fs, const std::string& dir) {
  Files files;
  for (const std::string& path : fs.all_files(dir))
    files[path.substr(dir.size() + 1)] = bytes_of(fs.contents(path));
  return files;
}

std::string prose(uint64_t i, size_t size) {
  std::string out;
  while (out.size() < size) out += fmt::format("layer {} of silt over sand {}; ", i, out.size() % 7);
  out.resize(size);
  return out;
}

std::string noise(Random* random, size_t size) {
  std::string out;
  while (out.size() < size) out += static_cast<char>(random->next());
  return out;
}

// Writes a directory and keeps the books.
class Builder {
 public:
  Builder(std::string name, uint64_t seed, bool keyspace, EngineOptions options)
      : random_(seed), keyspace_(keyspace) {
    image_.name = std::move(name);
    image_.keyspace = keyspace;
    image_.options = std::move(options);
    open();
  }

  void open() {
    store_ = std::make_unique<Store>(fs_, image_.options, random_.next(), keyspace_);
    must(store_->status());
  }
  void close() {
    must(store_->close());
    store_.reset();
  }
  void reopen() {
    close();
    open();
  }
  Store& store() { return *store_; }
  Random& random() { return random_; }
  std::string text(size_t size) {
    return random_.one_in(3) ? noise(&random_, size) : prose(random_.below(100), size);
  }

  // --- over the bare engine ---
  void put(const std::string& key, const std::string& value, bool blind = false) {
    batch_.put(key, value, blind);
    now_[key] = value;
  }
  void remove(const std::string& key) {
    batch_.remove(key);
    now_.erase(key);
  }
  void remove_range(const std::string& begin, const std::string& end) {
    batch_.remove_range(begin, end);
    now_.erase(now_.lower_bound(begin), now_.lower_bound(end));
  }
  void commit() {
    auto last = store_->commit(batch_);
    must(last.status());
    note(*last);
    batch_.clear();
  }

  // --- over the keyspace ---
  void set(uint32_t database, const std::string& key, const std::string& value, int64_t expire_ms = 0) {
    run([&](Transaction& t) {
      Entry old;
      t.find(t.database(database), key, &old);
      Record record;
      record.expire_ms = expire_ms;
      t.put_string(t.database(database), key, old, value, record);
    });
    now_[keyspace_name(database, key)] = keyspace_value(expire_ms, value);
    finish_run();
  }
  void set_blind(uint32_t database, const std::string& key, const std::string& value) {
    run([&](Transaction& t) { t.put_string_blind(t.database(database), key, value, Record()); });
    now_[keyspace_name(database, key)] = keyspace_value(0, value);
    finish_run();
  }
  void del(uint32_t database, const std::string& key) {
    run([&](Transaction& t) {
      Entry old;
      t.find(t.database(database), key, &old);
      t.remove(t.database(database), key, old);
    });
    now_.erase(keyspace_name(database, key));
    finish_run();
  }
  void flush_database(uint32_t database) {
    run([&](Transaction& t) { t.flush_database(database); });
    std::string prefix = keyspace_name(database, "");
    now_.erase(now_.lower_bound(prefix), now_.lower_bound(fmt::format("{}0", database)));
    finish_run();
  }

  // Everything so far is acknowledged.
  void settle(bool idle = true) {
    must(store_->settle(idle));
    image_.rested = idle;
  }
  void flush() { must(store_->flush()); }
  void compact() { must(store_->compact()); }
  void snapshot() { image_.older.push_back(files_in(fs_, kStoreDir)); }

  Image finish(const std::string& dir = kStoreDir) {
    if (store_) {
      VARVE_CHECK(store_->engine().durable_sequence() == store_->engine().last_sequence());
      store_.reset();
    }
    image_.files = files_in(fs_, dir);
    learn();
    return std::move(image_);
  }
  test::CrashFs& fs() { return fs_; }

 private:
  void run(const std::function<void(Transaction&)>& command) {
    auto last = store_->run(command);
    must(last.status());
    last_ = *last;
  }
  void finish_run() { note(last_); }

  void note(Sequence last) {
    for (const auto& [key, value] : image_.contents()) {
      if (!now_.contains(key) && image_.absent.size() < 40) image_.absent.push_back(key);
    }
    image_.history.note(last, now_);
  }

  // What the intact files say of themselves.
  void learn() {
    ImageFs fs(kStoreDir, image_.files, true);
    ManifestState state;
    ManifestInfo info;
    must(read_manifest(fs, kStoreDir, false, &state, &info));
    image_.manifest_durable = std::max(state.durable_sequence, state.flushed_sequence);
    image_.flushed = state.flushed_sequence;
    image_.live = {"CURRENT", manifest_file_name(info.number)};
    for (const auto& [number, table] : state.tables) image_.live.push_back(table_file_name(number));
    for (const LogSegment& segment : state.log) {
      std::string name = log_file_name(segment.number);
      image_.live.push_back(name);
      auto reader = SegmentReader::open(fs, kStoreDir, segment);
      must(reader.status());
      for (uint64_t at = kLogBlockSize; at < segment.size; at += kLogBlockSize) {
        auto probe = (*reader)->probe(at);
        must(probe.status());
        if (probe->state == FrameProbe::State::kNone) continue;
        image_.witnesses.push_back({name, at, at + kFrameHeaderSize, probe->header.durable_sequence});
      }
    }
    std::erase_if(image_.absent, [this](const std::string& key) { return image_.contents().contains(key); });
    for (const char* key : {"a", "key:00007x", "zzz"})
      image_.absent.push_back(keyspace_ ? keyspace_name(0, key) : std::string(key));
  }

  Image image_;
  test::CrashFs fs_;
  Random random_;
  const bool keyspace_;
  std::unique_ptr<Store> store_;
  WriteBatch batch_;
  Contents now_;
  Sequence last_ = 0;
};

std::string key_name(uint64_t n) {
  return fmt::format("key:{:05}", n);
}

void commit_some(Builder* b, int batches, uint64_t keys, size_t value_max) {
  for (int i = 0; i < batches; ++i) {
    for (uint64_t n = 1 + b->random().below(3); n > 0; --n) {
      std::string key = key_name(b->random().below(keys));
      if (b->random().one_in(7))
        b->remove(key);
      else
        b->put(key, b->text(1 + b->random().below(value_max)), b->random().one_in(5));
    }
    if (b->random().one_in(12)) {
      uint64_t begin = b->random().below(keys);
      b->remove_range(key_name(begin), key_name(begin + 1 + b->random().below(keys / 10)));
    }
    b->commit();
    if (b->random().one_in(2)) b->settle(false);
  }
}

// Everything stands in the log, and the watermark of an idle server behind it.
Image log_only(uint64_t seed) {
  Builder b("log", seed, false, small_options());
  commit_some(&b, 16, 60, 200);
  b.settle();
  b.snapshot();
  commit_some(&b, 12, 60, 200);
  b.settle();
  return b.finish();
}

// Nothing stands behind the last acknowledged group: its damage looks like a torn tail, and only its own.
Image log_tail(uint64_t seed) {
  EngineOptions options = small_options();
  Builder b("log-tail", seed, false, options);
  for (int i = 0; i < 14; ++i) {
    commit_some(&b, 1, 60, 300);
    b.settle(false);
  }
  b.snapshot();
  for (int i = 0; i < 8; ++i) {
    commit_some(&b, 1, 60, 300);
    b.settle(false);
  }
  return b.finish();
}

// A batch larger than a frame: it goes in parts, and over into the next segment.
Image log_parts(uint64_t seed) {
  EngineOptions options = small_options();
  options.memtable_size = 32 << 20;
  options.log_segment_size = 6 << 20;
  options.log_max_bytes = 64 << 20;
  Builder b("log-parts", seed, false, options);
  commit_some(&b, 3, 20, 100);
  b.settle(false);
  for (int i = 0; i < 5; ++i) b.put(key_name(static_cast<uint64_t>(i)), noise(&b.random(), 1'100'000));
  b.commit();
  b.settle(false);
  commit_some(&b, 3, 20, 100);
  b.settle();
  Image image = b.finish();
  image.large = true;
  return image;
}

// Tables of level 0 under a log that was used several times.
Image log_and_tables(uint64_t seed) {
  EngineOptions options = small_options();
  options.level0_trigger = 8;
  options.level0_slow = 12;
  Builder b("log+tables", seed, false, options);
  for (int round = 0; round < 3; ++round) {
    commit_some(&b, 40, 120, 300);
    b.settle();
    b.flush();
    b.snapshot();
  }
  commit_some(&b, 6, 120, 200);
  b.settle();
  return b.finish();
}

// Levels of compacted tables, both codecs, range tombstones above what they delete.
Image levels(uint64_t seed, Compression compression, const char* name) {
  EngineOptions options = small_options();
  options.compression = compression;
  options.bottom_compression = compression == Compression::kLz4 ? Compression::kZstd : compression;
  Builder b(name, seed, false, options);
  for (int round = 0; round < 3; ++round) commit_some(&b, 80, 260, 200);
  b.compact();
  b.snapshot();
  for (int round = 0; round < 4; ++round) {
    commit_some(&b, 30, 260, 250);
    b.flush();
    b.settle();
    if (round == 1) b.snapshot();
  }
  b.remove_range(key_name(20), key_name(60));
  b.commit();
  b.flush();
  commit_some(&b, 3, 260, 100);
  b.settle();
  return b.finish();
}

// One table with several partitions of index and filter.
Image partitions(uint64_t seed) {
  EngineOptions options = small_options();
  options.memtable_size = 1 << 20;
  options.table_size = 1 << 20;
  options.block_size = 128;
  options.log_segment_size = 256 * 1024;
  options.log_max_bytes = 2 << 20;
  Builder b("partitions", seed, false, options);
  for (uint64_t i = 0; i < 2800; ++i) {
    b.put(key_name(i * 3), fmt::format("{}", i));
    if (i % 200 == 199) b.commit();
  }
  b.remove_range(key_name(700), key_name(760));
  b.commit();
  b.flush();
  b.close();
  return b.finish();
}

// A manifest of many records, closed cleanly.
Image many_edits(uint64_t seed) {
  EngineOptions options = small_options();
  options.filter_bits_per_key = 0;
  Builder b("manifest", seed, false, options);
  for (int round = 0; round < 6; ++round) {
    commit_some(&b, 12, 80, 150);
    b.flush();
    b.settle();
    if (round % 2 == 0) b.snapshot();
  }
  b.close();
  return b.finish();
}

Image checkpointed(uint64_t seed) {
  Builder b("checkpoint", seed, false, small_options());
  commit_some(&b, 90, 160, 200);
  b.compact();
  b.snapshot();
  commit_some(&b, 40, 160, 200);
  must(b.store().checkpoint("/copy"));
  b.close();
  return b.finish("/copy");
}

Image fresh(uint64_t seed) {
  Builder b("fresh", seed, false, small_options());
  b.settle();
  b.close();
  return b.finish();
}

void fill_keyspace(Builder* b, uint64_t from) {
  for (uint64_t i = from; i < from + 30; ++i) {
    int64_t expire_ms = i % 4 == 0 ? kYear2100 + static_cast<int64_t>(i) : 0;
    b->set(static_cast<uint32_t>(i % 3), fmt::format("user:{:03}", i % 50), b->text(20 + i), expire_ms);
  }
  b->set(0, "long", b->text(20'000 + from));
  b->set(1, "long:expires", b->text(9'000), kYear2100);
  b->set_blind(0, fmt::format("blind:{}", from % 7), b->text(50));
  b->del(0, fmt::format("user:{:03}", (from + 3) % 50));
  b->set(5, "doomed", "goes with its database");
}

EngineOptions keyspace_options() {
  EngineOptions options = small_options();
  options.memtable_size = 512 * 1024;
  options.log_segment_size = 128 * 1024;
  options.log_max_bytes = 1 << 20;
  options.table_size = 24 * 1024;
  options.base_level_size = 24 * 1024;
  options.block_size = 1024;
  return options;
}

// Long strings, expiring keys, several databases, in levels and in the log.
Image keys(uint64_t seed) {
  Builder b("keys", seed, true, keyspace_options());
  fill_keyspace(&b, 0);
  b.compact();
  b.snapshot();
  fill_keyspace(&b, 40);
  b.flush_database(5);
  b.flush();
  b.settle();
  b.snapshot();
  b.set(5, "after", "the flush of its database");
  b.set(2, "late", b.text(5000), kYear2100);
  b.del(1, "long:expires");
  b.settle();
  return b.finish();
}

Image keys_in_log(uint64_t seed) {
  EngineOptions options = keyspace_options();
  options.memtable_size = 1 << 20;
  Builder b("keys-log", seed, true, options);
  fill_keyspace(&b, 0);
  b.settle();
  b.flush_database(2);
  b.set(2, "again", b.text(100));
  b.close();
  return b.finish();
}

}  // namespace

bool Image::is_live(const std::string& file) const {
  return std::find(live.begin(), live.end(), file) != live.end();
}

std::string file_type(const std::string& name) {
  if (name == "CURRENT") return "current";
  if (name == "LOCK") return "lock";
  if (name.starts_with("MANIFEST-")) return "manifest";
  if (name.ends_with(".sst")) return "table";
  if (name.ends_with(".log")) return "log";
  return "foreign";
}

std::vector<Image> build_images(uint64_t seed) {
  std::vector<Image> images;
  images.push_back(log_only(seed));
  images.push_back(log_tail(seed + 1));
  images.push_back(log_parts(seed + 11));
  images.push_back(log_and_tables(seed + 2));
  images.push_back(levels(seed + 3, Compression::kLz4, "levels-lz4-zstd"));
  images.push_back(levels(seed + 4, Compression::kNone, "levels-raw"));
  images.push_back(partitions(seed + 5));
  images.push_back(many_edits(seed + 6));
  images.push_back(checkpointed(seed + 7));
  images.push_back(fresh(seed + 8));
  images.push_back(keys(seed + 9));
  images.push_back(keys_in_log(seed + 10));
  // Each gets its neighbour's files as the foreign ones.
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& other = images[(i + 1) % images.size()];
    images[i].foreign = other.files;
  }
  return images;
}

}  // namespace varve::prove
