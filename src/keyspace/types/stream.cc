#include "keyspace/types/stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/integer_text.h"

namespace varve {
namespace {

constexpr uint8_t kHasLong = 1;
// Redis's stream-node-max-entries and stream-node-max-bytes.
constexpr uint64_t kNodeEntries = 100;
constexpr uint64_t kNodeBytes = 4096;
// Of a listpack: header and end.
constexpr uint64_t kListpackFrame = 7;

// --- what Redis's listpack would take ---

uint64_t with_length_behind(uint64_t bytes) {
  return bytes + (bytes <= 127 ? 1 : bytes < 16383 ? 2 : bytes < 2097151 ? 3 : bytes < 268435455 ? 4 : 5);
}

uint64_t listpack_size(int64_t number) {
  if (number >= 0 && number <= 127) return with_length_behind(1);
  if (number >= -4096 && number <= 4095) return with_length_behind(2);
  if (number >= INT16_MIN && number <= INT16_MAX) return with_length_behind(3);
  if (number >= -(1 << 23) && number < 1 << 23) return with_length_behind(4);
  if (number >= INT32_MIN && number <= INT32_MAX) return with_length_behind(5);
  return with_length_behind(9);
}

uint64_t listpack_size(std::string_view text) {
  int64_t number = 0;
  if (parse_integer(text, &number)) return listpack_size(number);
  uint64_t size = text.size();
  return with_length_behind(size + (size < 64 ? 1 : size < 4096 ? 2 : 5));
}

void put_id(std::string* out, StreamId id) {
  put_varint(out, id.ms);
  put_varint(out, id.seq);
}
bool get_id(std::string_view* in, StreamId* id) {
  return get_varint(in, &id->ms) && get_varint(in, &id->seq);
}

}  // namespace

bool increase(StreamId* id) {
  if (*id == kLastStreamId) return false;
  if (++id->seq == 0) ++id->ms;
  return true;
}

bool decrease(StreamId* id) {
  if (*id == StreamId()) return false;
  if (id->seq-- == 0) --id->ms;
  return true;
}

std::string format_stream_id(StreamId id) {
  return fmt::format("{}-{}", id.ms, id.seq);
}

void make_entry_key(uint64_t collection, StreamId id, EngineKey* out) {
  char rest[16];
  encode_big64(rest, id.ms);
  encode_big64(rest + 8, id.seq);
  make_element_key(collection, Part::kMain, {rest, sizeof rest}, out);
}

StreamId entry_id(std::string_view entry_key) {
  VARVE_CHECK(entry_key.size() == kPartPrefixSize + 16);
  return {decode_big64(entry_key.data() + kPartPrefixSize),
          decode_big64(entry_key.data() + kPartPrefixSize + 8)};
}

bool EntryWords::open(std::string_view entry) {
  at_ = 0;
  if (!get_varint(&entry, &count_)) return false;
  words_.reset(entry);
  return words_.whole(count_);
}

// --- record and state ---

Stream::Stream(Transaction& tx, DatabaseId database, std::string_view key, const Entry& entry)
    : Collection(tx, database, key, entry, ValueType::kStream, 1) {
  if (entry.exists) read_state();
}

void Stream::read_state() {
  std::string_view state = record_.payload;
  uint8_t flags = 0;
  bool good = !is_inline() && get_u8(&state, &flags) && (flags & ~kHasLong) == 0 &&
              get_id(&state, &last_id_) && get_id(&state, &first_id_) && get_id(&state, &max_deleted_) &&
              get_varint(&state, &added_) && get_varint(&state, &nodes_);
  has_long_ = (flags & kHasLong) != 0;
  StreamId start;
  if (good && nodes_ > 0) {
    good = get_id(&state, &head_) && get_id(&state, &start) && decode_node(start, &state, &tail_);
  }
  if (good && state.empty() && (nodes_ > 0 || record_.count == 0)) return;
  fail("its state cannot be understood");
  record_.count = nodes_ = 0;
}

void Stream::encode_node(const Node& node, std::string* out) {
  put_id(out, node.last);
  put_varint(out, node.live);
  put_varint(out, node.deleted);
  put_varint(out, node.bytes);
  put_varint(out, node.fields);
  put_fixed64(out, node.names);
}

bool Stream::decode_node(StreamId start, std::string_view* bytes, Node* node) {
  node->start = start;
  return get_id(bytes, &node->last) && get_varint(bytes, &node->live) && get_varint(bytes, &node->deleted) &&
         get_varint(bytes, &node->bytes) && get_varint(bytes, &node->fields) &&
         get_fixed64(bytes, &node->names) && node->live <= kNodeEntries;
}

void Stream::save() {
  state_.assign(1, static_cast<char>(has_long_ ? kHasLong : 0));
  put_id(&state_, last_id_);
  put_id(&state_, first_id_);
  put_id(&state_, max_deleted_);
  put_varint(&state_, added_);
  put_varint(&state_, nodes_);
  if (nodes_ > 0) {
    put_id(&state_, head_);
    put_id(&state_, tail_.start);
    encode_node(tail_, &state_);
  }
  record_.payload = state_;
  Collection::save();
}

void Stream::fail(const char* what) {
  tx_.fail(Status::corruption("keyspace: stream {}: {}", record_.collection, what));
}

// --- reading ---

Stream::Walk::Walk(Stream& stream, StreamId from, StreamId to, bool forward)
    : stream_(stream), forward_(forward) {
  from = std::max(from, stream.first_id_);
  to = std::min(to, stream.greatest());
  if (stream.empty() || from > to) return;
  EngineKey begin;
  EngineKey last;
  make_entry_key(stream.record_.collection, from, &begin);
  make_entry_key(stream.record_.collection, to, &last);
  std::string end(last.view());
  end.push_back('\0');
  entries_ = stream.tx_.iterate(begin, end);
  forward ? entries_->seek_to_first() : entries_->seek_to_last();
  load();
}

void Stream::Walk::next() {
  VARVE_DCHECK(valid_);
  forward_ ? entries_->next() : entries_->prev();
  load();
}

void Stream::Walk::load() {
  valid_ = false;
  if (!entries_->valid()) return;
  if (entries_->key().size() != kPartPrefixSize + 16 || !decode_element_value(entries_->value(), &value_)) {
    return stream_.fail("an entry cannot be understood");
  }
  id_ = entry_id(entries_->key());
  valid_ = true;
}

std::string_view Stream::Walk::read(std::string* scratch) const {
  return stream_.tx_.read_value(entries_->key(), value_, scratch);
}

bool Stream::last_entry(StreamId* id) {
  Walk walk(*this, {}, kLastStreamId, false);
  if (walk.valid()) *id = walk.id();
  return walk.valid();
}

// --- changing ---

void Stream::append(StreamId id, const std::string_view* words, size_t count) {
  VARVE_CHECK(id > last_id_ && count % 2 == 0);
  if (is_inline()) leave_inline();
  std::string entry;
  put_varint(&entry, count);
  uint64_t payload = 0;
  uint64_t names = 0;
  uint64_t names_size = 0;
  uint64_t values_size = 0;
  for (size_t i = 0; i < count; ++i) {
    put_length_prefixed(&entry, words[i]);
    payload += words[i].size();
    (i % 2 == 0 ? names_size : values_size) += listpack_size(words[i]);
    if (i % 2 == 0) names = checksum(words[i], names);
  }
  make_entry_key(record_.collection, id, &element_key_);
  tx_.put_value(element_key_, entry, ElementValue());  // nothing stands behind the last id
  has_long_ |= entry.size() > kLongPieceSize;

  bool fresh =
      nodes_ == 0 || tail_.bytes + payload >= kNodeBytes || tail_.live + tail_.deleted >= kNodeEntries;
  auto fields = static_cast<int64_t>(count / 2);
  if (fresh) {
    nodes_ == 0 ? void(head_ = id) : put_node(tail_);
    ++nodes_;
    tail_ = {id, id, 0, 0, kListpackFrame, count / 2, names};
    tail_.bytes += 3 * listpack_size(0) + listpack_size(fields) + names_size;
  }
  bool same_names = tail_.fields == count / 2 && tail_.names == names;
  tail_.bytes += listpack_size(same_names ? 2 : 0) + values_size +
                 listpack_size(static_cast<int64_t>(id.ms - tail_.start.ms)) +
                 listpack_size(static_cast<int64_t>(id.seq - tail_.start.seq)) +
                 listpack_size(same_names ? fields + 3 : 2 * fields + 4);
  if (!same_names) tail_.bytes += listpack_size(fields) + names_size;
  tail_.last = id;
  ++tail_.live;
  ++added_;
  last_id_ = id;
  if (++record_.count == 1) first_id_ = id;
  changed_ = true;
}

bool Stream::remove(StreamId id) {
  if (empty() || id < first_id_ || id > greatest()) return false;
  make_entry_key(record_.collection, id, &element_key_);
  ElementValue old;
  if (!tx_.find_value(element_key_, &old)) return false;
  tx_.remove_value(element_key_, old);
  --record_.count;
  changed_ = true;
  first_gone_ |= id == first_id_;
  max_deleted_ = std::max(max_deleted_, id);
  Node node;
  if (!find_node(id, &node)) return true;
  --node.live;
  ++node.deleted;
  if (node.live == 0) {
    drop_node(node);
  } else if (node.start == tail_.start) {
    tail_ = node;
  } else {
    put_node(node);
  }
  return true;
}

void Stream::settle_first() {
  if (empty()) {
    first_id_ = {};
  } else if (first_gone_) {
    Walk walk(*this, first_id_, kLastStreamId);
    if (walk.valid()) first_id_ = walk.id();
    if (!walk.valid() && !tx_.read().faulted()) fail("it lacks entries that its record speaks of");
  }
  first_gone_ = false;
}

// Ids of entries to come lie behind it, and so behind the start of the last node.
void Stream::set_last_id(StreamId id) {
  while (nodes_ > 0 && tail_.live == 0 && id < tail_.start) drop_tail();
  last_id_ = id;
  changed_ = true;
}

}  // namespace varve
