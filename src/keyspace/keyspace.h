// keyspace.h: Redis's keys over the engine. Keyspace is what outlives commands (which database number stands
// for which id, the expiry's low-water mark); Transaction is one run of one command: it reads, gathers
// writes, and is committed or thrown away.
//
// Rules that hold everywhere:
//   - The counter of a database's id counts its metadata records, expired ones not yet removed included.
//   - A write that knows the record it replaces settles it: the count, the drop of its collection, its
//     expiry hint. A blind put does not know; it counts itself, carries the blind mark, and compaction
//     settles the rest.
//   - A metadata record is the last operation of what a command does to its key, also when only elements
//     change, so its sequence covers them: a reply that saw the record waits for them too.
//   - A run that met a missing block or damage (ReadContext::faulted) sees "absent" there and everything
//     it does is thrown away.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keyspace/element_iterator.h"
#include "keyspace/entry_format.h"
#include "keyspace/key_events.h"
#include "keyspace/overlay.h"
#include "lsm/engine.h"

namespace varve {

class Transaction;

// Learns of every batch as it is committed, commands' and the expiry's alike.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  // The batch is in the engine; the map of databases is still the old one, tx.number_of() knows both.
  virtual void committed(Transaction& tx, Sequence sequence) = 0;
};

class Keyspace {
 public:
  // Reads the database map (blocking) and writes the identity record if the store is new. kUnsupported for a
  // newer format.
  Status attach(Engine* engine);
  void detach() { engine_ = nullptr; }
  bool attached() const { return engine_ != nullptr; }
  Engine& engine() { return *engine_; }

  DatabaseId database(uint32_t number) const;
  // Metadata records of a database, never below 0. Blind overwrites that compaction has not met count twice.
  uint64_t key_count(DatabaseId database) const;
  // About how many of them expire: their hints, stale ones not yet met included; at most key_count().
  uint64_t expiring_count(DatabaseId database) const;
  // About the mean of what its expiring keys have left: an average of the expiries set of late, newer ones
  // counting more. 0 when none was set since the start.
  int64_t mean_ttl_ms(DatabaseId database, int64_t now_ms) const;
  // The sequence of the last change of the database map: whoever looks at a database has seen it.
  Sequence map_sequence() const { return map_sequence_; }

  void set_observer(CommitObserver* observer) { observer_ = observer; }
  // What runs that begin from now on note (KeyEventClass); 0: nobody listens.
  void set_event_classes(uint32_t classes) { event_classes_ = classes; }

 private:
  friend class Transaction;
  friend class ExpiryCycle;

  // A hint was written: the expiry's walk starts no later than there.
  void note_hint(std::string_view hint_key) {
    if (hint_key < std::string_view(expiry_low_water_)) expiry_low_water_ = hint_key;
  }
  void note_expiry(DatabaseId database, int64_t expire_ms);

  Engine* engine_ = nullptr;
  CommitObserver* observer_ = nullptr;
  uint32_t event_classes_ = 0;
  std::map<uint32_t, DatabaseId> databases_;  // those that are not their own number
  DatabaseId next_database_ = kFirstFreshDatabase;
  Sequence map_sequence_ = 0;
  // All hints before this key have been dealt with.
  std::string expiry_low_water_;
  struct MeanExpiry {
    DatabaseId database = 0;
    double expire_ms = 0;  // 0: none so far
  };
  MeanExpiry mean_expiries_[16];  // by id; of two that share a place the later one has it
};

// A key as a run found it.
struct Entry {
  bool exists = false;  // there, and not expired
  bool stored = false;  // a record is there, perhaps expired
  Record record;        // valid when stored; its payload lives as long as the transaction's run
};

// The value in an element of the main part, as its record tells: its bytes, or that they stand in pieces.
struct ElementValue {
  bool exists = false;
  bool in_pieces = false;
  uint64_t length = 0;
  std::string_view bytes;  // unless in_pieces
};
// False on damage.
bool decode_element_value(std::string_view record, ElementValue* value);

class Transaction {
 public:
  explicit Transaction(Keyspace& keyspace) : keyspace_(keyspace) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // A new run: forgets everything of the last one. `read` must outlive the run. Keyspace must be attached,
  // unless the command touches no keys.
  void begin(ReadContext* read, int64_t now_ms);
  ReadContext& read() { return *read_; }
  int64_t now_ms() const { return now_ms_; }
  Keyspace& keyspace() { return keyspace_; }

  // The id behind a database number, as this run has it.
  DatabaseId database(uint32_t number) const;
  // The number an id has, as this run leaves it or else as it found it; false for an id that no number has.
  bool number_of(DatabaseId database, uint32_t* number) const;
  // Numbers whose id this run changes: flushed or swapped.
  const std::map<uint32_t, DatabaseId>& map_changes() const { return map_changes_; }

  // --- events (key_events.h) ---
  // True when events of one of these classes are told to anyone.
  bool wants_events(uint32_t classes) const { return (event_classes_ & classes) != 0; }
  // `name` is a constant. Keys that come to be, and expired ones that are met, note themselves.
  void note_event(uint32_t event_class, const char* name, uint32_t number, std::string_view key) {
    if (wants_events(event_class)) events_.push_back({name, number, std::string(key)});
  }
  const std::vector<KeyEvent>& events() const { return events_; }

  // --- reading ---
  // True when the key exists. The entry is also what writes of this key ask for.
  bool find(DatabaseId database, std::string_view key, Entry* entry);
  // Bytes [offset, offset + size) of an existing string, cut at its end: points into the entry's payload or
  // into *scratch, which is overwritten. Reads it at once: cut large reads in pieces.
  std::string_view read_string(const Entry& entry, uint64_t offset, uint64_t size, std::string* scratch);
  std::string_view read_string(const Entry& entry, std::string* scratch) {
    return read_string(entry, 0, entry.record.length(), scratch);
  }
  uint64_t key_count(DatabaseId database) const;

  // --- writing; `old` is what find() said of the same key, and is stale afterwards ---
  // A string of this value. `record` brings expiry and form; type, encoding, collection and count are set
  // here.
  void put_string(DatabaseId database, std::string_view key, const Entry& old, std::string_view value,
                  Record record);
  // The same without having looked: reads memory only, and writes a blind record if that does not settle what
  // it replaces.
  void put_string_blind(DatabaseId database, std::string_view key, std::string_view value, Record record);
  // Overwrites bytes of a string from `offset` on, extending it with zeros where needed; of a long one only
  // the segments touched are rewritten. The key must exist as a string or not at all. Keeps its expiry.
  void write_range(DatabaseId database, std::string_view key, const Entry& old, uint64_t offset,
                   std::string_view bytes, StringForm form);
  // Any record: settles the old one. A collection that stays the record's is not dropped.
  void put(DatabaseId database, std::string_view key, const Entry& old, const Record& record);
  void remove(DatabaseId database, std::string_view key, const Entry& old);
  // The record leaves its key without the death of its collection (RENAME, MOVE).
  void remove_keeping_collection(DatabaseId database, std::string_view key, const Entry& old);
  // A copy of a value under another key, elements under a collection id of its own. False, and nothing was
  // done, when the elements exceed bytes_max.
  bool copy(const Entry& from, DatabaseId database, std::string_view key, const Entry& old, int64_t expire_ms,
            uint64_t bytes_max);

  // --- elements of collections (keys: entry_format.h); the record is put behind them, with put() ---
  // An id for a new collection. The next operation put into this transaction must belong to it.
  uint64_t fresh_collection();
  // The record under an element's key; the view is valid until the next call for an element, or write.
  bool get_element(std::string_view element_key, std::string_view* record);
  void put_element(std::string_view element_key, std::string_view record) {
    overlay_.put(element_key, record);
  }
  void remove_element(std::string_view element_key) { overlay_.remove(element_key); }
  // Not for what holds values in pieces: those are not in the range.
  void remove_elements(std::string_view begin, std::string_view end) { overlay_.remove_range(begin, end); }
  std::unique_ptr<ElementIterator> iterate(std::string_view begin, std::string_view end);
  // The same for elements of the main part that hold values of any length. `old` is what find_value() said.
  bool find_value(std::string_view main_key, ElementValue* value);
  void put_value(std::string_view main_key, std::string_view value, const ElementValue& old);
  void remove_value(std::string_view main_key, const ElementValue& old);
  // The whole value: points where the ElementValue points, or into *scratch, which is overwritten.
  std::string_view read_value(std::string_view main_key, const ElementValue& value, std::string* scratch);
  // Notes damage: the run fails with it. Behind a missing block nothing is known, and nothing noted.
  void fail(Status status) {
    if (!read_->faulted()) read_->error = std::move(status);
  }

  // --- whole databases, in O(1) ---
  void flush_database(uint32_t number);
  // `databases`: how many numbers there are.
  void flush_all(uint32_t databases);
  void swap_databases(uint32_t a, uint32_t b);

  // The run is over and what it found is not looked at any more: lets go of blocks and of large buffers.
  void end();
  // Entries found so far are dead; their blocks may go. For commands that look at very many keys.
  void forget_entries() {
    if (overlay_.change() != nullptr) overlay_.write_change();
    pins_.clear();
    copies_.clear();
  }

  // What was committed.
  const WriteBatch& batch() const { return overlay_.batch(); }
  bool has_writes() const { return !overlay_.empty(); }
  size_t batch_size() const { return overlay_.byte_size(); }
  // The writes give space back: there is no put among them.
  bool only_deletes() const;
  // Commits the writes; the engine must have admitted them in this turn. Returns the batch's last sequence
  // (0: no writes).
  Sequence commit();
  // For the active expiry: a hint that has had its time.
  void remove_hint(DatabaseId database, std::string_view key, int64_t expire_ms);

  size_t memory_used() const { return overlay_.memory_used(); }

 private:
  bool get(std::string_view engine_key, std::string_view* value);
  void note_own_event(uint32_t event_class, const char* name, DatabaseId database, std::string_view key);
  void decode(std::string_view engine_key, std::string_view value, Entry* entry);
  void settle(DatabaseId database, std::string_view key, const Entry& old, const Record& record);
  void put_record(DatabaseId database, std::string_view key, const Record& record, bool blind);
  bool change_segment(DatabaseId database, std::string_view key, const Entry& old, uint64_t offset,
                      std::string_view bytes, const Record& record);
  void make_change();
  void put_hint(DatabaseId database, std::string_view key, int64_t expire_ms);
  // Puts the value's segments, if it is long, and makes the record say so.
  void place_string(std::string_view value, Record* record);
  void drop_collection(uint64_t collection);
  void remove_pieces(std::string_view main_key, uint64_t length, uint64_t from);
  // What this batch adds to a counter so far.
  int64_t pending_count(uint32_t counter) const;
  std::map<uint32_t, int64_t> pending_counts() const;
  // `pending`: what the batch added to counters before.
  DatabaseId renew_database(uint32_t number, const std::map<uint32_t, int64_t>& pending);
  void map_database(uint32_t number, DatabaseId id);
  std::string_view read_segment(uint64_t collection, uint32_t segment);

  Keyspace& keyspace_;
  ReadContext* read_ = nullptr;
  int64_t now_ms_ = 0;
  Overlay overlay_;
  std::vector<BlockRef> pins_;      // blocks that entries point into
  std::deque<std::string> copies_;  // overlay values that entries point into
  std::map<uint32_t, DatabaseId> map_changes_;
  DatabaseId next_database_ = 0;  // 0: not changed
  uint32_t event_classes_ = 0;
  std::vector<KeyEvent> events_;
  uint64_t last_collection_ = 0;
  BlockRef element_pin_;      // block that the last element's record points into
  std::string element_copy_;  // or the overlay's record
  std::string record_bytes_;
  EngineKey key_;
};

}  // namespace varve
