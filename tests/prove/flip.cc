// flip.cc: varve_prove flip. Small data directories of every shape, one damage each, many times: does varve
// notice? What must hold, whatever the damage:
//
//   - what a read returns is right, or it is an error that names a damaged file; never a wrong value, never
//     "not there" for a key that is, never a crash, and no more memory than an intact directory justifies;
//   - opening either works or refuses, names a damaged file, and leaves every file as it was;
//   - compaction over damage launders nothing: afterwards, and after another start, the same holds;
//   - varve-tool check finds what opening or reading finds, and every change of a file that is in use, but
//     where nothing is under a checksum because nobody reads it (the space behind a log's last frame,
//     padding).
//
// What one copy of the data cannot tell, and what is counted as `unwitnessed` instead: the log's last
// acknowledged group is lost with every frame behind it that knew of it (idle watermark), by one damage that
// hits both (never by a single bit), or before such a frame was written. The contents must then be those of a
// shorter prefix that holds everything an undamaged frame, or the manifest, says was durable.
//
//   --count N            damages (default 4000)
//   --from N             number of the first one; each is drawn from the seed and its number alone
//   --exhaustive 1       every bit and every length of every small directory's files; --part I --parts N for
//   a share
//   --image NAME         only this directory
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "prove/allocations.h"
#include "prove/flip_damage.h"
#include "prove/flip_images.h"
#include "prove/proof.h"
#include "prove/store.h"
#include "tool/check.h"

namespace varve::prove {
namespace {

constexpr uint64_t kDefaultCount = 4000;
constexpr size_t kGetsMax = 150;

struct Verdict {
  std::string detected;  // by whom first: "open", "read", "compaction", "check"; empty: harmless
  bool checked = false;  // varve-tool check found it
  bool unwitnessed = false;
  std::vector<std::string> wrong;
};

// What an intact directory's opening and reading asks of the allocator.
struct Budget {
  uint64_t largest = 0, total = 0;
};

class Trial {
 public:
  Trial(const Image& image, const Damage& damage, const Budget* budget, uint64_t seed)
      : image_(image), damage_(damage), budget_(budget), random_(seed), expected_(image.contents()) {}

  Verdict run() {
    reset_allocations();
    check();
    ImageFs fs(kStoreDir, damage_.files, random_.one_in(2));
    bool opened = open_and_read(&fs, "read");
    if (opened && random_.one_in(4)) compact_and_read(&fs);
    if (budget_ != nullptr) check_memory();
    if (!verdict_.detected.empty() && !verdict_.checked) {
      wrong(fmt::format("varve-tool check found nothing, but {} did: {}", verdict_.detected, first_message_));
    }
    if (verdict_.detected.empty() && verdict_.checked) verdict_.detected = "check";
    if (must_be_found() && verdict_.detected.empty()) wrong("a change of a file in use was not found");
    return std::move(verdict_);
  }

 private:
  void wrong(const std::string& text) {
    if (verdict_.wrong.size() < 4) verdict_.wrong.push_back(text);
  }

  void check() {
    ImageFs fs(kStoreDir, damage_.files, false);
    std::string text;
    auto found =
        tool::check_directory(fs, kStoreDir, [&](std::string_view line) { text.append(line).append("\n"); });
    verdict_.checked = !found || *found > 0;
    if (verdict_.checked && !names_a_file(found ? text : found.status().message()))
      wrong("varve-tool check names no damaged file: " + (found ? text : found.status().to_string()));
  }

  // A stale or foreign CURRENT, or a manifest that lost its last records, may be sound in itself: what is
  // missing beside it is named instead.
  bool names_a_file(const std::string& text) const {
    for (const std::string& name : damage_.names) {
      if (text.find(name) != std::string::npos) return true;
    }
    static const std::set<std::string> kWhole = {"replay-file", "replace", "exchange", "cross", "truncate"};
    bool sound = kWhole.contains(damage_.kind);
    bool named = text.find(".log") != std::string::npos || text.find(".sst") != std::string::npos ||
                 text.find("MANIFEST-") != std::string::npos;
    if (sound && named && (damage_.type == "manifest" || damage_.type == "current")) return true;
    // Without CURRENT, a directory that never held anything is a new one.
    return image_.contents().empty() && damage_.kind == "remove" &&
           text.find("no database here") != std::string::npos;
  }

  void detected(const std::string& by, const Status& status) {
    if (verdict_.detected.empty()) {
      verdict_.detected = by;
      first_message_ = status.to_string();
    }
    bool kind = status.is_corruption() || status.is_io_error() || status.is_invalid_argument() ||
                status.is_unsupported() || status.is_not_found();
    if (!kind || !names_a_file(status.message()))
      wrong(fmt::format("{} names no damaged file: {}", by, status.to_string()));
  }

  bool open_and_read(ImageFs* fs, const char* by) {
    Files before = fs->files();
    Store store(*fs, image_.options, random_.next(), image_.keyspace);
    if (!store.status()) {
      bool by_keyspace = store.opened();
      detected(by_keyspace ? by : "open", store.status());
      if (!by_keyspace) check_untouched(before, fs->files());
      return by_keyspace;
    }
    read(&store, by);
    return true;
  }

  // An open that was refused changes no file and leaves none behind (but for LOCK).
  void check_untouched(const Files& before, const Files& after) {
    for (const auto& [name, bytes] : before) {
      auto found = after.find(name);
      if (found == after.end() || (found->second != bytes && *found->second != *bytes))
        wrong("an open that was refused changed " + name);
    }
    for (const auto& [name, bytes] : after) {
      if (name != "LOCK" && !before.contains(name)) wrong("an open that was refused left " + name);
    }
  }

  void compact_and_read(ImageFs* fs) {
    {
      Store store(*fs, image_.options, random_.next(), image_.keyspace);
      if (!store.status()) return detected("compaction", store.status());
      Status status = store.compact();
      if (!status) detected("compaction", status);
      status = store.settle();
      if (!status) wrong("after a compaction: " + status.to_string());
      read(&store, "compaction");
      if (random_.one_in(2)) {
        status = store.close();
        if (!status) detected("compaction", status);
      }
    }
    open_and_read(fs, "reopen");
  }

  // --- reading ---

  void read(Store* store, const char* by) {
    // Which prefix did the log end with? Only damage to log or manifest may shorten it.
    Reading forwards = store->scan(false);
    if (!forwards.differences(expected_, 1).empty()) look_for_prefix(forwards);
    judge(forwards, by);
    judge(store->scan(true), by);
    for (const std::string& key : keys_to_get()) {
      std::optional<std::string> value;
      Status status = store->get(key, random_.one_in(2), &value);
      if (!status) {
        detected(by, status);
        continue;
      }
      auto it = expected_.find(key);
      if (it == expected_.end() && value) wrong("get: " + key + " should be absent");
      if (it != expected_.end() && !value) wrong("get: " + key + " is not found");
      if (it != expected_.end() && value && *value != it->second) wrong("get: " + key + " has another value");
    }
  }

  std::vector<std::string> keys_to_get() {
    std::vector<std::string> keys = image_.absent;
    size_t n = image_.contents().size();
    uint64_t step = budget_ == nullptr ? 1 : 1 + n / kGetsMax;
    uint64_t skip = random_.below(step);
    for (const auto& [key, value] : image_.contents()) {
      if (skip-- > 0) continue;
      keys.push_back(key);
      skip = step - 1;
    }
    return keys;
  }

  void judge(const Reading& reading, const char* by) {
    if (!reading.failure.ok()) detected(by, reading.failure);
    for (const auto& [key, status] : reading.failed) detected(by, status);
    for (const std::string& text : reading.differences(expected_, 4)) wrong(text);
  }

  // --- what nobody could know ---

  // Everything that something undamaged says was durable.
  Sequence witnessed() const {
    Sequence least = 0;
    auto intact = [&](const std::string& name, uint64_t begin, uint64_t end) {
      auto now = damage_.files.find(name);
      const std::string& was = *image_.files.at(name);
      return now != damage_.files.end() && now->second->size() == was.size() &&
             now->second->compare(begin, end - begin, was, begin, end - begin) == 0;
    };
    for (const Witness& witness : image_.witnesses) {
      if (intact(witness.file, witness.begin, witness.end)) least = std::max(least, witness.durable);
    }
    for (const std::string& name : image_.live) {
      if (file_type(name) == "manifest" && intact(name, 0, image_.files.at(name)->size()))
        least = std::max(least, image_.manifest_durable);
    }
    return least;
  }

  void look_for_prefix(const Reading& reading) {
    bool log = damage_.type == "log" || damage_.type == "manifest" || damage_.type == "current";
    if (!log) return;
    Sequence least = witnessed();
    std::vector<Sequence> ends = image_.history.ends();
    for (auto last = ends.rbegin(); last != ends.rend(); ++last) {
      // The state before this commit: allowed if nobody knows the commit was durable.
      if (*last <= least) return;
      Contents shorter = image_.history.at(*last - 1);
      if (!reading.differences(shorter, 1).empty()) continue;
      expected_ = std::move(shorter);
      verdict_.unwitnessed = true;
      // One bit cannot hit both a group and the frame behind that knew of it.
      if (image_.rested && damage_.kind == "flip")
        wrong("a durable group is lost by one bit, and nobody knows");
      return;
    }
  }

  // Single changes of files in use that nothing may overlook.
  bool must_be_found() const {
    if (verdict_.unwitnessed || damage_.names.empty()) return false;
    const std::string& name = damage_.names.front();
    if (!image_.is_live(name)) return false;
    return damage_.type == "table" || damage_.type == "current";
  }

  void check_memory() {
    Allocations now = allocations();
    uint64_t files = 0;
    for (const auto& [name, bytes] : damage_.files) files = std::max<uint64_t>(files, bytes->size());
    if (now.largest > 2 * budget_->largest + 2 * files)
      wrong(fmt::format("one allocation of {} bytes; an intact directory takes {}", now.largest,
                        budget_->largest));
    if (now.total > 40 * budget_->total)
      wrong(
          fmt::format("{} bytes allocated in all; an intact directory takes {}", now.total, budget_->total));
  }

  const Image& image_;
  const Damage& damage_;
  const Budget* budget_;  // null: measure it
  Random random_;
  Contents expected_;
  Verdict verdict_;
  std::string first_message_;
};

class Flip {
 public:
  Flip(const Options& options, Counters* counters) : options_(options), counters_(*counters) {}

  void run() {
    set_log_level(LogLevel::kNothing);
    std::string only = options_.text("image", "");
    for (Image& image : build_images(options_.seed)) {
      if (only.empty() || image.name == only) images_.push_back(std::move(image));
    }
    if (images_.empty()) return counters_.violation("no image of that name", "");
    for (const Image& image : images_) {
      if (!measure(image)) return;
    }
    if (options_.number("exhaustive", 0) != 0)
      run_exhaustive();
    else
      run_sampled();
  }

 private:
  // The undamaged directory must be found sound; what that takes is the budget for damaged ones.
  bool measure(const Image& image) {
    Damage none;
    none.files = image.files;
    reset_allocations();
    Verdict verdict = Trial(image, none, nullptr, options_.seed).run();
    Allocations taken = allocations();
    budgets_.push_back({taken.largest, taken.total});
    if (!verdict.detected.empty()) verdict.wrong.push_back("an intact directory is told to be damaged");
    std::string again = fmt::format("varve_prove flip --seed {} --image {}", options_.seed, image.name);
    for (const std::string& text : verdict.wrong) counters_.violation(image.name + ": " + text, again);
    if (options_.verbose) {
      uint64_t bytes = 0;
      for (const auto& [name, content] : image.files) bytes += content->size();
      fmt::print("{}: {} files, {} bytes, {} keys, {} frames, sequence {} of {} flushed\n", image.name,
                 image.files.size(), bytes, image.contents().size(), image.witnesses.size(), image.flushed,
                 image.contents().empty() ? 0 : image.history.ends().back());
    }
    return verdict.wrong.empty();
  }

  void run_sampled() {
    uint64_t from = options_.number("from", 0);
    for (uint64_t i = 0; go_on(options_, i, kDefaultCount); ++i) {
      uint64_t trial = from + i;
      Random random(options_.seed * 0x9e3779b97f4a7c15 + trial);
      size_t index = pick_image(&random);
      Damage damage = draw_damage(images_[index], &random);
      std::string only = options_.text("image", "");
      run_one(index, damage, random.next(),
              fmt::format("varve_prove flip --seed {} --from {} --count 1{}{}", options_.seed, trial,
                          only.empty() ? "" : " --image ", only));
    }
  }

  size_t pick_image(Random* random) const {
    constexpr uint64_t kLargeOneIn = 30;
    size_t index = random->below(images_.size());
    while (images_.size() > 1 && images_[index].large && !random->one_in(kLargeOneIn))
      index = random->below(images_.size());
    return index;
  }

  void run_exhaustive() {
    uint64_t part = options_.number("part", 0), parts = options_.number("parts", 1);
    uint64_t from = options_.number("from", 0), done = 0;
    uint64_t number = 0;
    for (size_t index = 0; index < images_.size(); ++index) {
      uint64_t n = images_[index].large ? 0 : simple_damages(images_[index]);
      for (uint64_t i = 0; i < n; ++i, ++number) {
        if (number < from || number % parts != part) continue;
        if (!go_on(options_, done++, UINT64_MAX)) return;
        run_one(index, simple_damage(images_[index], i), number,
                fmt::format("varve_prove flip --seed {} --exhaustive 1 --from {} --count 1", options_.seed,
                            number));
      }
    }
  }

  void run_one(size_t index, const Damage& damage, uint64_t seed, const std::string& again) {
    const Image& image = images_[index];
    if (options_.verbose) fmt::print("{}: {}\n", image.name, damage.what);
    Verdict verdict = Trial(image, damage, &budgets_[index], seed).run();
    counters_.add("flips");
    counters_.add("file:" + damage.type);
    counters_.add("kind:" + damage.kind);
    counters_.add("image:" + image.name);
    if (verdict.unwitnessed)
      counters_.add("unwitnessed");
    else if (verdict.detected.empty())
      counters_.add("harmless");
    else
      counters_.add("detected:" + verdict.detected);
    for (const std::string& text : verdict.wrong)
      counters_.violation(fmt::format("{}: {}: {}", image.name, damage.what, text), again);
  }

  const Options& options_;
  Counters& counters_;
  std::vector<Image> images_;
  std::vector<Budget> budgets_;
};

void run(const Options& options, Counters* counters) {
  Flip(options, counters).run();
}

const Registration registration({"flip", "damages every kind of file in every way and reads everything",
                                 run});

}  // namespace
}  // namespace varve::prove
