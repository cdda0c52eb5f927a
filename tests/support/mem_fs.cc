#include "support/mem_fs.h"

#include <algorithm>

#include "base/check.h"

namespace varve::test {
namespace {

enum class Fate { kKeep, kDrop, kEarlier, kZero, kGarble };

Fate draw_fate(const CrashPolicy& policy, Random* random) {
  const std::pair<int, Fate> weights[] = {{policy.keep, Fate::kKeep},
                                          {policy.drop, Fate::kDrop},
                                          {policy.earlier, Fate::kEarlier},
                                          {policy.zero, Fate::kZero},
                                          {policy.garble, Fate::kGarble}};
  int total = 0;
  for (const auto& [weight, fate] : weights) total += weight;
  VARVE_CHECK(total > 0);
  int at = static_cast<int>(random->below(static_cast<uint64_t>(total)));
  for (const auto& [weight, fate] : weights) {
    if (at < weight) return fate;
    at -= weight;
  }
  return Fate::kDrop;
}

// How one file or directory fares as a whole. Independent draws alone would almost never leave a long file
// complete, or cut at one place as a disk writing in order does; those are the states that reach deepest.
enum class Pattern { kIndependent, kAll, kNone, kPrefix };

Pattern draw_pattern(const CrashPolicy& policy, Random* random) {
  if (policy.keep == 0 || policy.drop == 0) return Pattern::kIndependent;
  switch (random->below(6)) {
    case 0:
      return Pattern::kAll;
    case 1:
      return Pattern::kNone;
    case 2:
      return Pattern::kPrefix;
    default:
      return Pattern::kIndependent;
  }
}

}  // namespace

void MemFile::write(uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  make_dirty(offset, offset + bytes.size());  // not the hole before it: nothing is written there
  if (offset + bytes.size() > content_.size()) resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<ptrdiff_t>(offset));
}

void MemFile::truncate(uint64_t size) {
  if (size == content_.size()) return;
  // What is cut off now and grown again later must not come back as if it were synced: those blocks are
  // dirty.
  make_dirty(size, content_.size());
  resize(size);
}

void MemFile::resize(uint64_t size) {
  if (!size_is_dirty_) shortest_ = std::min<uint64_t>(content_.size(), size);
  shortest_ = std::min(shortest_, size);
  size_is_dirty_ = true;
  account(content_.size(), size);
  content_.resize(size, '\0');
}

void MemFile::account(uint64_t old_size, uint64_t new_size) {
  if (names_ > 0) *used_ = *used_ - old_size + new_size;
}

void MemFile::add_name() {
  if (names_++ == 0) *used_ += content_.size();
}

void MemFile::drop_name() {
  if (--names_ == 0) *used_ -= content_.size();
}

// Before the bytes in [begin, end) change.
void MemFile::make_dirty(uint64_t begin, uint64_t end) {
  for (uint64_t i = begin / block_size_; i * block_size_ < end; ++i) {
    auto [at, fresh] = dirty_.try_emplace(i);
    if (fresh) continue;
    std::vector<std::string>& earlier = at->second;
    if (earlier.size() == kEarlierMax) earlier.erase(earlier.begin() + 1);
    earlier.push_back(block_of(content_, i));
  }
}

// Zeros where the image ends.
std::string MemFile::block_of(const std::string& image, uint64_t index) const {
  uint64_t begin = std::min<uint64_t>(index * block_size_, image.size());
  std::string block = image.substr(begin, block_size_);
  block.resize(block_size_, '\0');
  return block;
}

void MemFile::sync() {
  bool beyond = !dirty_.empty() && (dirty_.rbegin()->first + 1) * block_size_ > synced_.size();
  if (size_is_dirty_ || beyond) synced_.resize(content_.size(), '\0');
  for (const auto& [index, earlier] : dirty_) {
    uint64_t begin = index * block_size_;
    if (begin >= synced_.size()) continue;  // cut off since
    const uint64_t n = std::min<uint64_t>(block_size_, synced_.size() - begin);
    synced_.replace(begin, n, block_of(content_, index), 0, n);
  }
  dirty_.clear();
  size_is_dirty_ = false;
}

void MemFile::fail_sync() {
  dirty_.clear();
  size_is_dirty_ = false;
}

void MemFile::set_durable(std::string bytes) {
  account(content_.size(), bytes.size());
  content_ = bytes;
  synced_ = std::move(bytes);
  fail_sync();
}

uint64_t MemFile::size_after_crash(const CrashPolicy& policy, Random* random) const {
  if (!size_is_dirty_ || policy.keep == 0) return synced_.size();
  if (policy.drop == 0) return content_.size();
  switch (random->below(4)) {
    case 0:
      return synced_.size();
    case 1:
      return content_.size();
    case 2:
      return shortest_;
    default:
      // The size grows as the blocks go out.
      if (content_.size() <= synced_.size()) return content_.size();
      return synced_.size() + random->below(content_.size() - synced_.size() + 1);
  }
}

std::string MemFile::after_crash(const CrashPolicy& policy, Random* random) const {
  const uint64_t size = size_after_crash(policy, random);
  const Pattern pattern = draw_pattern(policy, random);
  const uint64_t prefix = random->below(dirty_.size() + 1);
  std::string image = synced_;
  image.resize(size, '\0');
  uint64_t number = 0;
  for (const auto& [index, earlier] : dirty_) {
    Fate fate = draw_fate(policy, random);
    if (pattern == Pattern::kAll || (pattern == Pattern::kPrefix && number < prefix)) fate = Fate::kKeep;
    if (pattern == Pattern::kNone || (pattern == Pattern::kPrefix && number >= prefix)) fate = Fate::kDrop;
    ++number;
    const uint64_t begin = index * block_size_;
    if (fate == Fate::kDrop || begin >= size) continue;
    std::string block(block_size_, '\0');
    if (fate == Fate::kEarlier && !earlier.empty()) {
      block = earlier[random->below(earlier.size())];
    } else if (fate == Fate::kKeep || fate == Fate::kEarlier) {
      block = block_of(content_, index);
    } else if (fate == Fate::kGarble) {
      for (char& c : block) c = static_cast<char>(random->next());
    }
    const uint64_t n = std::min<uint64_t>(block_size_, size - begin);
    image.replace(begin, n, block, 0, n);
  }
  return image;
}

MemNodePtr MemDir::find(const std::string& name) const {
  auto at = entries_.find(name);
  return at == entries_.end() ? nullptr : at->second;
}

void MemDir::apply(const Change& change, std::map<std::string, MemNodePtr>* entries) {
  if (!change.removed.empty()) entries->erase(change.removed);
  if (!change.added.empty()) (*entries)[change.added] = change.node;
}

void MemDir::change(const std::string& removed, const std::string& added, MemNodePtr node) {
  // Before the old ones go: a renamed file is never without a name.
  if (node && node->file() != nullptr) node->file()->add_name();
  for (const std::string& name : {removed, added}) {
    MemNodePtr old = name.empty() ? nullptr : find(name);
    if (old && old->file() != nullptr) old->file()->drop_name();
  }
  journal_.push_back({removed, added, std::move(node)});
  apply(journal_.back(), &entries_);
}

// Not `synced_ = entries_`: changes lost by a failed sync stay lost.
void MemDir::sync() {
  for (const Change& change : journal_) apply(change, &synced_);
  journal_.clear();
}

void MemDir::set_durable(const std::string& name, MemNodePtr node) {
  VARVE_CHECK(!entries_.contains(name));
  if (node->file() != nullptr) node->file()->add_name();
  entries_[name] = node;
  synced_[name] = std::move(node);
}

std::map<std::string, MemNodePtr> MemDir::after_crash(const CrashPolicy& policy, Random* random) const {
  const Pattern pattern = draw_pattern(policy, random);
  const uint64_t prefix = random->below(journal_.size() + 1);
  const bool reorder = policy.reorder_names && pattern == Pattern::kIndependent;
  std::map<std::string, MemNodePtr> entries = synced_;
  for (size_t i = 0; i < journal_.size(); ++i) {
    bool kept = reorder ? random->one_in(2) : i < prefix;
    if (pattern == Pattern::kAll || policy.drop == 0) kept = true;
    if (pattern == Pattern::kNone || policy.keep == 0) kept = false;
    if (kept) apply(journal_[i], &entries);
  }
  return entries;
}

namespace {

struct Survivors {
  const CrashPolicy& policy;
  Random random;
  size_t block_size;
  std::shared_ptr<uint64_t> used;
  std::map<const MemNode*, MemNodePtr> copies;  // a file with two names stays one file

  MemNodePtr copy(MemNode* node) {
    auto at = copies.find(node);
    if (at != copies.end()) return at->second;
    MemNodePtr made;
    if (MemFile* file = node->file()) {
      auto copied = std::make_shared<MemFile>(block_size, used);
      copied->set_durable(file->after_crash(policy, &random));
      made = copied;
    } else {
      made = copy_dir(*node->dir());
    }
    return copies[node] = made;
  }

  std::shared_ptr<MemDir> copy_dir(const MemDir& dir) {
    auto made = std::make_shared<MemDir>();
    for (const auto& [name, node] : dir.after_crash(policy, &random))
      made->set_durable(name, copy(node.get()));
    return made;
  }
};

}  // namespace

std::shared_ptr<MemDir> tree_after_crash(const MemDir& root, const CrashPolicy& policy, uint64_t seed,
                                         size_t block_size, const std::shared_ptr<uint64_t>& used) {
  return Survivors{policy, Random(seed), block_size, used, {}}.copy_dir(root);
}

}  // namespace varve::test
