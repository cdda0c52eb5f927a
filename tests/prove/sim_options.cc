#include "prove/sim_options.h"

namespace varve::prove {
namespace {

constexpr const char* kFeatures[] = {
    "expiry",    "multi-key", "numbers",     "ranges",      "databases",   "flush",  "scan",
    "hello",     "large",     "huge",        "maintenance", "checkpoints", "errors", "short-space",
    "power-cut", "kill",      "shutdown",    "settings",    "limits",      "inline", "hashes",
    "sets",      "lists",     "sorted-sets", "blocking",    "multi",       "streams"};

uint64_t pick(Random& random, std::initializer_list<uint64_t> choices) {
  return *(choices.begin() + random.below(choices.size()));
}

}  // namespace

WorldOptions draw_world(Random& random) {
  WorldOptions options;
  for (const char* feature : kFeatures) {
    if (!random.one_in(3)) options.features.insert(feature);
  }
  if (!options.has("kill")) options.features.insert("power-cut");
  options.files.block_size = random.one_in(2) ? 512 : 4096;
  options.files.nowait_percent = static_cast<int>(pick(random, {0, 50, 100}));
  options.files.nowait_seed = random.next();
  options.databases = options.has("databases") ? 2 + static_cast<uint32_t>(random.below(3)) : 1;
  options.draw.databases = options.databases;
  options.draw.keys = pick(random, {8, 40, 100, 250});
  options.draw.hot_keys = 1 + random.below(6);
  options.draw.value_size = pick(random, {8, 40, 200});
  options.draw.fields = pick(random, {6, 40, 400});
  options.draw.scored = pick(random, {6, 40, 400, 2500});
  if (options.has("large")) options.draw.large_one_in = 20 + random.below(200);
  if (options.has("huge") && random.one_in(8)) options.draw.huge_one_in = 400;
  if (options.has("expiry")) options.draw.expire_ms = static_cast<int64_t>(pick(random, {50, 1000, 60'000}));
  options.clients = 1 + random.below(5);
  if (options.clients == 1) options.features.erase("blocking");  // nobody would push
  for (const CommandRow& row : all_commands()) {
    bool on = *row.feature == 0 || options.has(row.feature);
    int weight = on ? row.weight : 0;
    if (random.one_in(6)) weight *= 4;
    options.weights.push_back(weight);
  }
  options.pipeline = pick(random, {1, 4, 16, 40});
  return options;
}

void draw_life(Random& random, WorldOptions* options) {
  EngineOptions& engine = options->engine;
  engine = EngineOptions();
  engine.dir = "/data";
  engine.memtable_size = 4096 + random.below(64 * 1024);
  engine.max_frozen_memtables = 1 + static_cast<int>(random.below(3));
  engine.keep_flushed_memtable = random.one_in(2);
  engine.log_segment_size = 4096 * (16 + random.below(48));
  if (options->draw.huge_one_in > 0) engine.log_segment_size = 1 << 20;
  engine.log_max_bytes = engine.log_segment_size * (5 + random.below(8));
  engine.block_cache_size = random.below(128 * 1024);
  engine.table_size = 2048 + random.below(32 * 1024);
  engine.base_level_size = 4096 + random.below(64 * 1024);
  engine.level_multiplier = 2 + static_cast<int>(random.below(5));
  engine.level0_trigger = 1 + static_cast<int>(random.below(4));
  engine.level0_slow = engine.level0_trigger + static_cast<int>(random.below(6));
  engine.level0_stop = engine.level0_slow + 1 + static_cast<int>(random.below(8));
  engine.block_size = 128 + random.below(2048);
  engine.filter_bits_per_key = random.one_in(4) ? 0 : 10;
  engine.compression = random.one_in(2) ? Compression::kNone : Compression::kLz4;
  engine.bottom_compression = random.one_in(2) ? Compression::kNone : Compression::kZstd;
  engine.table_cache_files = pick(random, {1, 4, 1000});
  engine.random_miss_one_in = random.one_in(2) ? 0 : 2 + static_cast<uint32_t>(random.below(20));
  uint64_t mode = random.below(12);
  engine.sync = mode == 0 ? SyncMode::kNo : mode == 1 ? SyncMode::kEverySecond : SyncMode::kAlways;

  ClientLimits& limits = options->limits;
  limits = ClientLimits();
  limits.output_soft = pick(random, {1024, 64 * 1024, 1 << 20});
  if (options->has("limits")) {
    if (random.one_in(3)) limits.output.hard = 4096 + random.below(256 * 1024);
    if (random.one_in(3)) limits.memory = 64 * 1024 + random.below(1 << 20);
    if (random.one_in(3)) limits.maxclients = 1 + random.below(6);
    if (random.one_in(3)) limits.timeout_s = 1 + static_cast<int64_t>(random.below(5));
  }
  options->wire_capacity = pick(random, {128, 4096, 1 << 18});
  options->wire_ahead = pick(random, {0, 100, 64 * 1024});
  options->clock_step_us = static_cast<int64_t>(pick(random, {0, 1, 20}));
}

test::CrashPolicy draw_policy(Random& random) {
  switch (random.below(8)) {
    case 0:
      return test::CrashPolicy::drop_all();
    case 1:
      return test::CrashPolicy::keep_all();
    case 2:
      return {.keep = 1, .drop = 1, .earlier = 0, .zero = 0, .garble = 0};
    case 3:
      return {.keep = 8, .drop = 1, .earlier = 1, .zero = 1, .garble = 1};
    case 4:
      return {.keep = 1, .drop = 8, .earlier = 1, .zero = 1, .garble = 1};
    case 5:
      return {.keep = 2, .drop = 2, .earlier = 0, .zero = 1, .garble = 4};
    default:
      return {.reorder_names = random.one_in(2)};
  }
}

}  // namespace varve::prove
