#include "prove/sim_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace varve::prove {

uint64_t ModelDatabase::live_keys(int64_t now_ms) const {
  uint64_t n = 0;
  for (const auto& [key, slot] : slots) n += slot.live(now_ms) ? 1 : 0;
  return n;
}

uint64_t ModelDatabase::expired_keys(int64_t now_ms) const {
  uint64_t n = 0;
  for (const auto& [key, slot] : slots) n += slot.there && !slot.live(now_ms) ? 1 : 0;
  return n;
}

Model::Model(uint32_t databases) : swapped_(databases, 0) {
  for (uint32_t i = 0; i < databases; ++i) databases_.push_back(std::make_unique<ModelDatabase>());
}

const Slot* Model::find(uint32_t db, std::string_view key, int64_t now_ms) const {
  const auto& slots = databases_[db]->slots;
  auto at = slots.find(key);
  return at == slots.end() || !at->second.live(now_ms) ? nullptr : &at->second;
}

Slot& Model::change(uint32_t db, std::string_view key) {
  ModelDatabase& database = *databases_[db];
  auto at = database.slots.find(key);
  if (at == database.slots.end()) at = database.slots.emplace(std::string(key), Slot()).first;
  undo_.push_back({Undo::Kind::kSlot, db, 0, at->first, at->second, database.batch, nullptr});
  database.batch = at->second.batch = next_batch();
  return at->second;
}

void Model::put(uint32_t db, std::string_view key, std::string value, int64_t expire_ms, int64_t now_ms) {
  place(db, key, {.expire_ms = expire_ms, .value = std::move(value), .members = {}}, now_ms);
}

void Model::place(uint32_t db, std::string_view key, Slot content, int64_t now_ms) {
  Slot& slot = change(db, key);
  content.batch = slot.batch;
  content.born = slot.live(now_ms) ? slot.born : next_batch();
  content.there = true;
  slot = std::move(content);
}

void Model::erase(uint32_t db, std::string_view key) {
  Slot& slot = change(db, key);
  slot.there = false;
  slot.born = 0;
  slot.expire_ms = 0;
  slot.value.clear();
  slot.members.clear();
  slot.elements.clear();
  slot.scores.clear();
}

void Model::flush(uint32_t db) {
  auto empty = std::make_unique<ModelDatabase>();
  empty->batch = next_batch();
  // What was there remembers the batch that took it away.
  for (const auto& [key, slot] : databases_[db]->slots) empty->slots[key].batch = next_batch();
  undo_.push_back({Undo::Kind::kFlush, db, 0, {}, {}, 0, std::move(databases_[db])});
  databases_[db] = std::move(empty);
}

void Model::swap(uint32_t a, uint32_t b) {
  undo_.push_back({Undo::Kind::kSwap, a, b, {}, {}, swapped_[a], nullptr, swapped_[b]});
  std::swap(databases_[a], databases_[b]);
  swapped_[a] = swapped_[b] = next_batch();
}

void Model::commit(uint64_t last_sequence) {
  VARVE_CHECK(ends_.empty() || last_sequence > ends_.back().sequence);
  ends_.push_back({last_sequence, undo_.size()});
}

void Model::abandon() {
  take_back(undone_to());
}

void Model::take_back(size_t size) {
  for (; undo_.size() > size; undo_.pop_back()) {
    Undo& undo = undo_.back();
    if (undo.kind == Undo::Kind::kFlush) {
      databases_[undo.a] = std::move(undo.whole);
    } else if (undo.kind == Undo::Kind::kSwap) {
      std::swap(databases_[undo.a], databases_[undo.b]);
      swapped_[undo.a] = undo.batch;
      swapped_[undo.b] = undo.batch_b;
    } else {
      databases_[undo.a]->slots[undo.key] = std::move(undo.slot);
      databases_[undo.a]->batch = undo.batch;
    }
  }
}

uint64_t Model::prefix_at(uint64_t last_sequence) const {
  auto behind = std::upper_bound(ends_.begin(), ends_.end(), last_sequence,
                                 [](uint64_t at, const End& end) { return at < end.sequence; });
  return first_ - 1 + static_cast<uint64_t>(behind - ends_.begin());
}

void Model::keep_prefix(uint64_t batch) {
  VARVE_CHECK(batch + 1 >= first_ && batch < next_batch());
  size_t kept = batch + 1 - first_;
  take_back(kept == 0 ? 0 : ends_[kept - 1].undo);
  ends_.clear();
  undo_.clear();
  first_ = batch + 1;
}

// --- runs ---

std::string real_text(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  bool whole = std::abs(value) < 1e15 && value == std::floor(value);
  return whole ? std::to_string(static_cast<int64_t>(value)) : fmt::format("{}", value);
}

const Slot* ModelRun::find(uint32_t db, std::string_view key) {
  ModelDatabase& database = model.database(db);
  auto at = database.slots.find(key);
  depends = std::max(depends, model.swapped(db));
  if (at == database.slots.end()) return nullptr;
  depends = std::max(depends, at->second.batch);
  return at->second.live(now_ms) ? &at->second : nullptr;
}

const Slot* ModelRun::find(std::string_view key, Slot::Type type, bool* wrong) {
  const Slot* slot = find(key);
  *wrong = slot != nullptr && slot->type != type;
  if (*wrong) error("WRONGTYPE Operation against a key holding the wrong kind of value");
  return slot;
}

ModelDatabase& ModelRun::whole(uint32_t db) {
  depends = std::max({depends, model.swapped(db), model.database(db).batch});
  return model.database(db);
}

void ModelRun::simple(std::string_view text) {
  reply += fmt::format("+{}\r\n", text);
}
void ModelRun::error(std::string_view text) {
  reply += fmt::format("-{}\r\n", text);
}
void ModelRun::integer(int64_t value) {
  reply += fmt::format(":{}\r\n", value);
}
void ModelRun::bulk(std::string_view bytes) {
  reply += fmt::format("${}\r\n", bytes.size());
  reply += bytes;
  reply += "\r\n";
}
void ModelRun::null() {
  reply += session.protocol == 3 ? "_\r\n" : "$-1\r\n";
}
void ModelRun::null_array() {
  reply += session.protocol == 3 ? "_\r\n" : "*-1\r\n";
}
void ModelRun::score(double value) {
  std::string text = real_text(value);
  session.protocol == 3 ? void(reply += fmt::format(",{}\r\n", text)) : bulk(text);
}
void ModelRun::array(size_t count) {
  reply += fmt::format("*{}\r\n", count);
}
std::string ModelRun::map_header(size_t pairs) const {
  return session.protocol == 3 ? fmt::format("%{}\r\n", pairs) : fmt::format("*{}\r\n", 2 * pairs);
}
std::string ModelRun::set_header(size_t members) const {
  return fmt::format("{}{}\r\n", session.protocol == 3 ? '~' : '*', members);
}

}  // namespace varve::prove
