// hyperloglogs.cc: commands on HyperLogLogs, which are strings (command/hyperloglog.h).

#include <fmt/format.h>

#include <algorithm>

#include "command/families/bit_args.h"
#include "command/families/helpers.h"
#include "command/families/rows.h"
#include "command/hyperloglog.h"
#include "command/numbers.h"

namespace varve {
namespace {

// The HyperLogLog in an existing entry. False: an error was replied.
bool read_value(CommandContext& context, const Entry& entry, std::string* value) {
  if (!is_string_or_absent(context, entry)) return false;
  constexpr uint64_t kLongest = 64 * 1024;  // all registers as runs are shorter
  std::string_view bytes = context.tx.read_string(entry, 0, std::min(kLongest, entry.record.length()), value);
  if (bytes.data() != value->data()) value->assign(bytes);
  // What a missing block made of it does not matter.
  if (HyperLogLog::is_one(*value) && entry.record.length() <= kLongest) return true;
  context.reply.error(errors::kNotHyperLogLog);
  return false;
}

HyperLogLog make(CommandContext& context, std::string value) {
  return {std::move(value), context.host().collection_limits().hll_sparse};
}

// Puts the changed value; of a dense one the bytes between the first and the last change in each segment.
void store(CommandContext& context, std::string_view key, const Entry& old, std::string_view was,
           std::string_view value) {
  if (!old.exists || old.record.encoding == Encoding::kInline || was.size() != value.size()) {
    Record record;
    record.form = StringForm::kRaw;
    if (old.exists) record.expire_ms = old.record.expire_ms;
    return context.tx.put_string(context.db(), key, old, value, record);
  }
  for (size_t at = 0; at < value.size(); at += kSegmentSize) {
    std::string_view before = was.substr(at, kSegmentSize);
    std::string_view after = value.substr(at, kSegmentSize);
    auto [first, ignored] = std::mismatch(after.begin(), after.end(), before.begin());
    if (first == after.end()) continue;
    auto [last, ignored_too] = std::mismatch(after.rbegin(), after.rend(), before.rbegin());
    auto offset = static_cast<size_t>(first - after.begin());
    auto size = static_cast<size_t>(last.base() - first);
    Entry entry;
    context.tx.find(context.db(), key, &entry);
    context.tx.write_range(context.db(), key, entry, at + offset, after.substr(offset, size),
                           StringForm::kRaw);
  }
}

// Redis calls it raw once it was looked at so.
void store_raw(CommandContext& context, std::string_view key, const Entry& entry, std::string_view value) {
  if (must_become_raw(entry)) store(context, key, entry, value, value);
}

// One element for a dense one takes a look at one register. False, and nothing happened: it needs all of the
// value.
bool add_one_to_dense(CommandContext& context, std::string_view key, const Entry& old) {
  const Record& record = old.record;
  if (!old.exists || record.type != ValueType::kString || record.encoding == Encoding::kInline) return false;
  std::string scratch;
  std::string_view header = context.tx.read_string(old, 0, HyperLogLog::kHeaderSize, &scratch);
  if (!HyperLogLog::is_dense_and_uncounted(header, record.length())) return false;
  HyperLogLog::Spot spot = HyperLogLog::dense_spot(context.args[2]);
  char bytes[2] = {};
  context.tx.read_string(old, spot.at, spot.size, &scratch).copy(bytes, spot.size);
  bool changed = spot.raise(bytes);
  if (changed) {
    context.tx.write_range(context.db(), key, old, spot.at, {bytes, spot.size}, StringForm::kRaw);
    context.notify(kEventString, "pfadd", key);
  }
  context.reply.integer(changed ? 1 : 0);
  return true;
}

void run_pfadd(CommandContext& context) {
  std::string_view key = context.args[1];
  Entry old;
  context.tx.find(context.db(), key, &old);
  if (context.args.size() == 3 && add_one_to_dense(context, key, old)) return;
  std::string was = HyperLogLog::empty_value();
  if (old.exists && !read_value(context, old, &was)) return;
  HyperLogLog all = make(context, std::move(was));
  size_t i = 2;
  while (i < context.args.size() && all.surely_knows(context.args[i])) ++i;  // mostly that is all
  if (i == context.args.size() && old.exists && all.dense()) return context.reply.integer(0);
  was = all.value();
  bool changed = !old.exists;
  bool damaged = false;
  for (; i < context.args.size() && !damaged; ++i) {
    HyperLogLog::Added added = all.add(context.args[i]);
    damaged = added == HyperLogLog::Added::kDamaged;
    changed |= added == HyperLogLog::Added::kYes;
  }
  if (changed) {
    all.forget_cardinality();
    store(context, key, old, was, all.value());
  } else {
    store_raw(context, key, old, was);
  }
  if (damaged) return context.reply.error(errors::kDamagedHyperLogLog);  // what went before it stays
  if (changed) context.notify(kEventString, "pfadd", key);
  context.reply.integer(changed ? 1 : 0);
}

// Adds what a key holds to `registers`; nothing if there is no key. False: an error was replied.
bool merge_key(CommandContext& context, std::string_view key, HyperLogLog::Registers* registers,
               bool* dense) {
  Entry entry;
  find_for_reading(context, key, &entry);
  std::string value;
  if (!entry.exists) return true;
  if (!read_value(context, entry, &value)) return false;
  HyperLogLog one = make(context, std::move(value));
  *dense |= one.dense();
  if (one.merge_into(registers)) return true;
  context.reply.error(errors::kDamagedHyperLogLog);
  return false;
}

void count_union(CommandContext& context) {
  HyperLogLog::Registers registers = {};
  bool dense = false;
  for (size_t i = 1; i < context.args.size(); ++i) {
    if (!merge_key(context, context.args[i], &registers, &dense)) return;
    context.tx.forget_entries();
  }
  context.reply.integer(static_cast<int64_t>(HyperLogLog::estimate(registers)));
}

// PFCOUNT is a reading command, and keeps what it has computed in the value: where that cannot be written
// now, it does without.
bool may_write_now(CommandContext& context, size_t bytes) {
  size_t all = context.tx.batch_size() + bytes + 2 * kSegmentSize;
  return context.engine()->admit(all, false).verdict == Admission::Verdict::kGo;
}

void run_pfcount(CommandContext& context) {
  if (context.args.size() > 2) return count_union(context);
  std::string_view key = context.args[1];
  Entry entry;
  find_for_reading(context, key, &entry);
  if (!entry.exists) return context.reply.integer(0);
  std::string was;
  if (!read_value(context, entry, &was)) return;
  HyperLogLog all = make(context, was);
  uint64_t cardinality = 0;
  bool known = all.known_cardinality(&cardinality);
  bool damaged = !known && !all.estimate(&cardinality);
  if (may_write_now(context, key.size())) {
    if (known || damaged) {
      store_raw(context, key, entry, was);
    } else {
      all.set_cardinality(cardinality);
      store(context, key, entry, was, all.value());
    }
  }
  if (damaged) return context.reply.error(errors::kDamagedHyperLogLog);
  context.reply.integer(static_cast<int64_t>(cardinality));
}

void run_pfmerge(CommandContext& context) {
  std::string_view key = context.args[1];
  HyperLogLog::Registers registers = {};
  bool dense = false;
  for (size_t i = 1; i < context.args.size(); ++i) {
    if (!merge_key(context, context.args[i], &registers, &dense)) return;
  }
  Entry old;
  context.tx.find(context.db(), key, &old);
  std::string was = HyperLogLog::empty_value();
  if (old.exists && !read_value(context, old, &was)) return;
  HyperLogLog all = make(context, was);
  if (dense && !all.make_dense()) return context.reply.error(errors::kDamagedHyperLogLog);
  all.raise(registers);
  all.forget_cardinality();
  store(context, key, old, was, all.value());
  context.notify(kEventString, "pfadd", key);
  context.reply.ok();
}

// --- PFDEBUG, PFSELFTEST ---

void reply_registers(CommandContext& context, const HyperLogLog& all) {
  context.reply.array(HyperLogLog::kRegisters);
  for (size_t i = 0; i < HyperLogLog::kRegisters; ++i) context.reply.integer(all.dense_register(i));
}

void run_pfdebug(CommandContext& context) {
  std::string_view what = context.args[1];
  std::string_view key = context.args[2];
  Entry old;
  if (!context.tx.find(context.db(), key, &old)) return context.reply.error(errors::kDebuggedKey);
  std::string was;
  if (!read_value(context, old, &was)) return;
  HyperLogLog all = make(context, was);
  bool sparse = !all.dense();
  bool shows = equals_ignoring_case(what, "getreg");
  bool converts = equals_ignoring_case(what, "todense");
  bool damaged = (shows || converts) && !all.make_dense();
  if (all.value() != was) {
    store(context, key, old, was, all.value());
  } else {
    store_raw(context, key, old, was);
  }
  if (damaged) return context.reply.error(errors::kDamagedHyperLogLog);
  if (shows) return reply_registers(context, all);
  if (converts) return context.reply.integer(sparse ? 1 : 0);
  if (equals_ignoring_case(what, "encoding")) return context.reply.simple(sparse ? "sparse" : "dense");
  if (!equals_ignoring_case(what, "decode")) {
    return context.reply.error(
        fmt::format("ERR Unknown PFDEBUG subcommand '{}'", what.substr(0, what.find('\0'))));
  }
  sparse ? context.reply.bulk(all.describe_runs()) : context.reply.error(errors::kNotSparse);
}

// The two encodings must agree about what they have seen, and about how much that is.
void run_pfselftest(CommandContext& context) {
  constexpr int kElements = 2000;
  constexpr double kErrorMax = 0.05;  // six times the standard error
  HyperLogLog sparse(HyperLogLog::empty_value(), SIZE_MAX);
  HyperLogLog dense(HyperLogLog::empty_value(), 0);
  bool good = dense.make_dense();
  for (int i = 0; i < kElements; ++i) {
    std::string element = fmt::format("ele:{}", i);
    good = good && sparse.add(element) == dense.add(element);
  }
  uint64_t estimates[2] = {};
  good = good && !sparse.dense() && sparse.estimate(&estimates[0]) && dense.estimate(&estimates[1]) &&
         estimates[0] == estimates[1];
  double error = static_cast<double>(estimates[0]) / kElements - 1;
  good = good && error < kErrorMax && error > -kErrorMax;
  good = good && sparse.make_dense() && sparse.value() == dense.value();
  good ? context.reply.ok() : context.reply.error("TESTFAILED sparse and dense HyperLogLogs do not agree");
}

}  // namespace

void add_hyperloglog_commands(CommandTable& table) {
  constexpr uint32_t kKind = kAclHyperLogLog;
  const KeySpec sources = {2, -1, 1, kKeyRO | kKeyAccess};
  constexpr uint32_t kTouched = 2 * kSegmentSize;  // what a dense one consists of
  // clang-format off
  const CommandRow rows[] = {
      {"pfadd", -2, kCmdWrite | kCmdDenyOom | kCmdFast, kAclWrite | kKind, {{1, 1, 1, kKeyRW | kKeyInsert}},
       run_pfadd, "2.8.9", "hyperloglog", "O(1) to add every element.",
       "Adds the specified elements to the specified HyperLogLog.", {}, kTouched},
      {"pfcount", -2, kCmdReadOnly, kAclRead | kKind, {{1, -1, 1, kKeyRW | kKeyAccess}}, run_pfcount, "2.8.9",
       "hyperloglog",
       "O(1) with a very small average constant time when called with a single key. O(N) with N being the number "
       "of keys, and much bigger constant times, when called with multiple keys.",
       "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s)."},
      {"pfdebug", 3, kCmdWrite | kCmdDenyOom | kCmdAdmin, kAclWrite | kKind | kAclAdmin | kAclDangerous,
       {{2, 2, 1, kKeyRW | kKeyAccess}}, run_pfdebug, "2.8.9", "hyperloglog", "N/A",
       "Internal commands for debugging HyperLogLog values", {}, kTouched},
      {"pfmerge", -2, kCmdWrite | kCmdDenyOom, kAclWrite | kKind,
       {{1, 1, 1, kKeyRW | kKeyAccess | kKeyInsert}, sources}, run_pfmerge, "2.8.9", "hyperloglog",
       "O(N) to merge N HyperLogLogs, but with high constant times.",
       "Merge N different HyperLogLogs into a single one.", {}, kTouched},
      {"pfselftest", 1, kCmdAdmin | kCmdRepeatable, kKind | kAclAdmin | kAclDangerous, {}, run_pfselftest, "2.8.9",
       "hyperloglog", "N/A", "An internal command for testing HyperLogLog values"},
  };
  // clang-format on
  for (const CommandRow& row : rows) table.add(make_command(row));
}

}  // namespace varve
