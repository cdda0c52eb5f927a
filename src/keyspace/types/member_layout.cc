#include "keyspace/types/member_layout.h"

namespace varve {

bool MemberLayout::read(const Record& record) {
  *this = MemberLayout();
  collection = record.collection;
  if (record.type != ValueType::kSet && record.type != ValueType::kHash) return true;
  std::string_view state = record.payload;
  if (state.empty()) return true;
  MemberLayout found;
  found.collection = collection;
  if (!get_varint(&state, &found.removed)) return false;
  if (!state.empty()) {
    found.generation = static_cast<uint8_t>(state.front());
    state.remove_prefix(1);
    if (found.generation > kLastGeneration) return false;
  }
  if (!state.empty()) {
    if (state.size() != 4) return false;
    found.moving = true;
    found.border = decode_big32(state.data());
  }
  *this = found;
  return true;
}

std::string_view MemberLayout::encode(char* buffer) const {
  if (removed == 0 && generation == 0 && !moving) return {};
  char* p = encode_varint(buffer, removed);
  if (generation != 0 || moving) *p++ = static_cast<char>(generation);
  if (moving) {
    encode_big32(p, border);
    p += 4;
  }
  return {buffer, static_cast<size_t>(p - buffer)};
}

void MemberLayout::make_key(std::string_view member, EngineKey* out) const {
  make_key(member_hash(member), member, out);
}

void MemberLayout::make_key(uint32_t hash, std::string_view member, EngineKey* out) const {
  Part part = main_part(has_moved(hash) ? next_generation() : generation);
  make_member_key(collection, part, hash, member, out);
}

KeyRange MemberLayout::range(size_t i) const {
  if (ranges() == 1) return part_range(collection, main_part(generation));
  KeyRange range = part_range(collection, main_part(i == 0 ? next_generation() : generation));
  EngineKey key;
  make_member_key(collection, main_part(i == 0 ? next_generation() : generation), border, {}, &key);
  (i == 0 ? range.end : range.begin).assign(key.view());
  return range;
}

ElementIterator& MemberElements::open(size_t i) {
  at_ = i;
  if (ranges_[i] == nullptr) {
    KeyRange range = layout_.range(i);
    ranges_[i] = iterate_(range.begin, range.end);
  }
  return *ranges_[i];
}

void MemberElements::seek(uint32_t hash, std::string_view member) {
  EngineKey key;
  layout_.make_key(hash, member, &key);
  open(layout_.ranges() == 2 && !layout_.has_moved(hash) ? 1 : 0).seek(key);
  pass_end();
}

void MemberElements::next() {
  ranges_[at_]->next();
  pass_end();
}

void MemberElements::pass_end() {
  if (at_ == 0 && layout_.ranges() == 2 && state() == IterState::kEnd) open(1).seek_to_first();
}

}  // namespace varve
