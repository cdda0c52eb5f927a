// sim_model.h: what a server's data must be, as plain maps outside any file system: the oracle of the
// simulator. It knows nothing of varve's code: commands are written down again (sim_strings.cc, sim_keys.cc,
// ...) as their documentation says.
//
// Every command that changed something is a batch. Batches have numbers in the order they ran, and the last
// of them can be taken back, because a crash may: what a directory holds after a recovery must be the model
// after some prefix of the batches. Each key remembers the batch that changed it last, so that a reply
// knows the newest batch it showed to a client.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace varve::prove {

// One key. A key that is gone keeps its slot, for `batch`.
struct Slot {
  enum class Type : uint8_t { kString, kHash, kSet, kList, kSortedSet, kStream };

  bool there = false;
  Type type = Type::kString;
  int64_t expire_ms = 0;                       // 0: never
  uint64_t batch = 0;                          // changed it last
  uint64_t born = 0;                           // made it exist; 0 while it does not
  std::string value;                           // of a string; of a stream its last id
  std::map<std::string, std::string> members;  // of a hash, with their values; of a set; entries
  std::vector<std::string> elements = {};      // of a list
  std::map<std::string, double> scores = {};   // of a sorted set

  bool live(int64_t now_ms) const { return there && (expire_ms == 0 || expire_ms > now_ms); }
  // A collection of nothing: such a key does not exist, but for streams.
  bool hollow() const {
    return type != Type::kString && type != Type::kStream && members.empty() && elements.empty() &&
           scores.empty();
  }
};

struct ModelDatabase {
  std::map<std::string, Slot, std::less<>> slots;
  uint64_t batch = 0;  // changed it last, as a whole or any key of it

  uint64_t live_keys(int64_t now_ms) const;
  uint64_t expired_keys(int64_t now_ms) const;  // those that may still be stored
};

// Where a SCAN stands: every key of database `db` that lies behind `last`, matches `pattern` and was born no
// later than `batch` is still to come.
struct ScanPosition {
  std::string last;
  std::string pattern;
  uint32_t db = 0;
  uint64_t batch = 0;
};
// In arguments: the cursor that this connection was told last.
inline const std::string kLatestCursor = "@cursor";

// What a connection remembers.
struct Session {
  uint32_t db = 0;
  int protocol = 2;
  std::string name;
  std::map<std::string, ScanPosition> cursors;
  bool multi = false;                                // behind MULTI
  bool multi_failed = false;                         // a command was refused since
  std::vector<std::vector<std::string>> queue = {};  // what EXEC will run

  void end_multi() {
    multi = multi_failed = false;
    queue.clear();
  }
};

class Model {
 public:
  explicit Model(uint32_t databases);

  uint32_t databases() const { return static_cast<uint32_t>(databases_.size()); }
  ModelDatabase& database(uint32_t number) { return *databases_[number]; }
  const Slot* find(uint32_t db, std::string_view key, int64_t now_ms) const;
  // The batch that exchanged this database with another one last.
  uint64_t swapped(uint32_t db) const { return swapped_[db]; }

  // The number the batch under construction will have.
  uint64_t next_batch() const { return first_ + ends_.size(); }
  // --- changes of the batch under construction ---
  Slot& change(uint32_t db, std::string_view key);  // to be filled in by the caller
  void put(uint32_t db, std::string_view key, std::string value, int64_t expire_ms, int64_t now_ms);
  // The same for any value: content.batch and content.born do not matter.
  void place(uint32_t db, std::string_view key, Slot content, int64_t now_ms);
  void erase(uint32_t db, std::string_view key);
  void flush(uint32_t db);
  void swap(uint32_t a, uint32_t b);
  bool changed() const { return undo_.size() > undone_to(); }
  // The batch is complete; the engine's log ends with it at this sequence.
  void commit(uint64_t last_sequence);
  // Nothing of the batch under construction has happened.
  void abandon();

  // --- after a recovery ---
  // The number of the last batch that ends at or before `last_sequence`.
  uint64_t prefix_at(uint64_t last_sequence) const;
  // Takes back all batches behind `batch`; those that are left are there for good.
  void keep_prefix(uint64_t batch);

 private:
  struct Undo {
    enum class Kind : uint8_t { kSlot, kFlush, kSwap } kind;
    uint32_t a = 0, b = 0;
    std::string key;
    Slot slot;
    uint64_t batch = 0;                    // that changed the database before, or swapped `a`
    std::unique_ptr<ModelDatabase> whole;  // kFlush: what was flushed
    uint64_t batch_b = 0;                  // that swapped `b` before
  };
  struct End {
    uint64_t sequence;
    size_t undo;  // entries up to and with this batch
  };
  size_t undone_to() const { return ends_.empty() ? 0 : ends_.back().undo; }
  void take_back(size_t size);

  std::vector<std::unique_ptr<ModelDatabase>> databases_;
  std::vector<uint64_t> swapped_;
  uint64_t first_ = 1;  // the number of ends_[0]
  std::vector<End> ends_;
  std::vector<Undo> undo_;
};

// A score as it is shown. Scores are drawn as multiples of 1/4 that are far from where digits run out.
std::string real_text(double value);

// One execution of one command: what it must answer, and on which batch the answer rests.
class ModelRun {
 public:
  ModelRun(Model& the_model, Session& the_session, const std::vector<std::string>& arguments, int64_t now)
      : model(the_model), session(the_session), args(arguments), now_ms(now) {}

  Model& model;
  Session& session;
  const std::vector<std::string>& args;
  const int64_t now_ms;
  uint64_t depends = 0;
  std::string reply;  // RESP
  // For replies that are not one text: says what is wrong with the real one ("": nothing).
  std::function<std::string(std::string_view reply)> check;
  // The check refers to nothing but itself, so a reply that is streamed can be checked once it is whole.
  bool check_stays = false;
  std::string_view real;      // the real reply, where chance decides; only its beginning when it is streamed
  uint64_t count_slack = 0;   // how many keys DBSIZE may count twice
  bool expired_gone = false;  // the active expiry has had its time: DBSIZE counts none of them
  bool waited = false;        // the client has waited for its keys: those of other types are passed over
  bool waits = false;         // nothing is there to be popped: outside of EXEC the client waits

  // Null if the key is not there.
  const Slot* find(std::string_view key) { return find(session.db, key); }
  const Slot* find(uint32_t db, std::string_view key);
  // The reply shows something of the whole database.
  ModelDatabase& whole(uint32_t db);
  // Of this type, or null; `wrong`: it is of another one, which was replied.
  const Slot* find(std::string_view key, Slot::Type type, bool* wrong);
  void put(std::string_view key, std::string value, int64_t expire_ms = 0) {
    model.put(session.db, key, std::move(value), expire_ms, now_ms);
  }
  // A collection after a change; none when nothing is left.
  void place(std::string_view key, Slot content) {
    if (content.hollow()) return erase(key);
    model.place(session.db, key, std::move(content), now_ms);
  }
  void erase(std::string_view key) { model.erase(session.db, key); }

  void ok() { reply += "+OK\r\n"; }
  void simple(std::string_view text);
  void error(std::string_view text);
  void integer(int64_t value);
  void bulk(std::string_view bytes);
  void null();
  void null_array();
  void array(size_t count);
  void score(double value);
  // Headers that RESP3 has a type of their own for.
  std::string map_header(size_t pairs) const;
  std::string set_header(size_t members) const;
};

}  // namespace varve::prove
