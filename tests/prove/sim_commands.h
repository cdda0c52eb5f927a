// sim_commands.h: the table of what the simulator asks: for each command how to draw its arguments and what
// it must do to the model and answer. A new family of commands adds its rows in a file of its own and one
// line in all_commands().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "prove/sim_model.h"

namespace varve::prove {

// What arguments are drawn from. Redrawn for each seed.
struct DrawOptions {
  uint64_t keys = 100;    // names a database
  uint64_t hot_keys = 4;  // every third command means one of these
  uint32_t databases = 1;
  uint64_t large_one_in = 0;  // values of 4 KiB and more: kept in segments (0: none)
  uint64_t huge_one_in = 0;   // values above 1 MiB: replies are streamed (0: none)
  uint64_t value_size = 40;
  uint64_t fields = 40;   // names fields are drawn from
  uint64_t scored = 40;   // names members of sorted sets are drawn from
  int64_t expire_ms = 0;  // expiries are up to so far away (0: none)
};

// Draws arguments. `tag` makes every value unique, so that a read tells which write it saw.
class Draw {
 public:
  Draw(Random& chance, const DrawOptions& what) : random(chance), options(what) {}

  Random& random;
  const DrawOptions& options;

  std::string key();
  std::string hash_key();
  std::string set_key();
  std::string list_key();
  std::string zset_key();
  std::string stream_key();
  std::string lex_key();                     // a sorted set of which all scores are 0; never moved about
  std::string sum_key();                     // where sums are stored; never a source of others
  std::string any_key();                     // of any kind that may change places
  std::string field();                       // of a hash
  std::string member(std::string_view set);  // some sets hold integers only
  std::string scored_member();
  std::string score();
  std::string element();     // of a list; some come often
  std::string number_key();  // one that INCR and its like get along with
  std::string value();
  std::string value_of(uint64_t size);
  std::string integer();
  std::string database() { return std::to_string(random.below(options.databases)); }
  uint64_t some() { return random.one_in(12) ? 4 + random.below(40) : 1 + random.below(4); }
  bool expiry() const { return options.expire_ms > 0; }
  int64_t away_ms() {
    return 1 + static_cast<int64_t>(random.below(static_cast<uint64_t>(options.expire_ms)));
  }
  int64_t now_ms = 0;
  std::vector<std::string> awaited;  // keys that clients wait for

 private:
  bool draw_awaited(std::string_view prefix, std::string* key);

  uint64_t tag_ = 0;
};

using Arguments = std::vector<std::string>;

struct CommandRow {
  const char* family;
  const char* name;  // upper case, as it is sent
  int weight;
  Arguments (*draw)(Draw& draw);  // with the name
  void (*run)(ModelRun& run);
  // Swarm: a seed may leave out everything that carries this word ("" is always there).
  const char* feature = "";
};

void add_string_rows(std::vector<CommandRow>* rows);
void add_hash_rows(std::vector<CommandRow>* rows);
void add_set_rows(std::vector<CommandRow>* rows);
void add_list_rows(std::vector<CommandRow>* rows);
void add_sorted_set_rows(std::vector<CommandRow>* rows);
void add_sorted_set_range_rows(std::vector<CommandRow>* rows);
void add_stream_rows(std::vector<CommandRow>* rows);
void add_transaction_rows(std::vector<CommandRow>* rows);
void add_key_rows(std::vector<CommandRow>* rows);
void add_scan_rows(std::vector<CommandRow>* rows);
void add_connection_rows(std::vector<CommandRow>* rows);

const std::vector<CommandRow>& all_commands();
// Null for a name that is in no row.
const CommandRow* find_command(std::string_view name);

// --- what rows share ---

// HSCAN or SSCAN from the start or from anywhere.
Arguments draw_member_scan(Draw& draw, const char* name, const std::string& key);
// May EXEC run it? What is not about keys runs behind the others there.
bool may_be_queued(const CommandRow& row);

bool parse_number(std::string_view text, int64_t* value);
// Of an argument that is drawn as a number.
int64_t number_at(const ModelRun& run, size_t at);
// A time to wait in seconds, 0 for ever.
std::string draw_timeout(Draw& draw);
// How long a command that waits for keys waits for them.
int64_t timeout_ms(const Arguments& args);
// [*first, *first + *count): two indexes, both included, negative ones from the end.
void index_range(int64_t start, int64_t stop, size_t size, size_t* first, size_t* count);
// An index that is often within a small collection, and may be negative.
std::string draw_index(Draw& draw);
// Redis's integer texts only.
bool is_integer(std::string_view text);
// A number with a fraction of quarters, exact in binary and short in decimal, added to another (null: to 0).
// False: the other is no number.
bool add_quarters(const std::string* old, const std::string& by, std::string* sum);
bool same_word(std::string_view text, std::string_view upper);

}  // namespace varve::prove
