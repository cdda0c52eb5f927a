// command_table.h: the one table of commands: what dispatch checks (arity, flags), what COMMAND tells
// clients, and the function that runs. Families add their rows through functions that build_command_table()
// calls; nothing registers itself before main().
//
// Lookup takes no allocation: the name is lowered into a small buffer and searched in an open hash table.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command/latency_histogram.h"

namespace varve {

struct CommandContext;
struct Command;

// Flags, in the order COMMAND INFO prints them. Names are command_flag_name()'s.
enum CommandFlag : uint32_t {
  kCmdWrite = 1u << 0,
  kCmdReadOnly = 1u << 1,
  kCmdDenyOom = 1u << 2,
  kCmdModule = 1u << 3,
  kCmdAdmin = 1u << 4,
  kCmdPubSub = 1u << 5,
  kCmdNoScript = 1u << 6,
  kCmdBlocking = 1u << 7,
  kCmdLoading = 1u << 8,  // runs while the data is still being opened
  kCmdStale = 1u << 9,
  kCmdSkipMonitor = 1u << 10,
  kCmdSkipSlowlog = 1u << 11,
  kCmdAsking = 1u << 12,
  kCmdFast = 1u << 13,
  kCmdNoAuth = 1u << 14,  // runs before AUTH
  kCmdMayReplicate = 1u << 15,
  kCmdNoAsyncLoading = 1u << 16,
  kCmdNoMulti = 1u << 17,
  kCmdMovableKeys = 1u << 18,
  kCmdAllowBusy = 1u << 19,
  // Not shown: for dispatch only.
  kCmdFrees =
      1u << 24,  // a write that gives space back: allowed on a full disk as long as the engine admits it
  kCmdBlindWrite = 1u << 25,  // mostly writes without reading: its keys are not probed ahead
  kCmdMayFree = 1u << 26,     // deletes only, with some arguments: told after the run
  kCmdNotQueued = 1u << 27,   // runs at once, also behind MULTI
  kCmdExec = 1u << 28,
  kCmdWhileSubscribed = 1u << 29,  // allowed to subscribers in RESP2
  // Neither reads nor writes keys, and changes nothing but the client's settings and what goes out with the
  // run (messages): EXEC runs it in its place. Others that are not about keys run behind the commit.
  kCmdRepeatable = 1u << 30,
  kCmdMessage = 1u << 31,  // sends messages: CLIENT PAUSE WRITE holds it back
};

// ACL categories, in Redis's order.
enum AclCategory : uint32_t {
  kAclKeyspace = 1u << 0,
  kAclRead = 1u << 1,
  kAclWrite = 1u << 2,
  kAclSet = 1u << 3,
  kAclSortedSet = 1u << 4,
  kAclList = 1u << 5,
  kAclHash = 1u << 6,
  kAclString = 1u << 7,
  kAclBitmap = 1u << 8,
  kAclHyperLogLog = 1u << 9,
  kAclGeo = 1u << 10,
  kAclStream = 1u << 11,
  kAclPubSub = 1u << 12,
  kAclAdmin = 1u << 13,
  kAclFast = 1u << 14,
  kAclSlow = 1u << 15,
  kAclBlocking = 1u << 16,
  kAclDangerous = 1u << 17,
  kAclConnection = 1u << 18,
  kAclTransaction = 1u << 19,
  kAclScripting = 1u << 20,
};

// What a command does with a key (COMMAND INFO's key specification flags), in Redis's order.
enum KeyFlag : uint32_t {
  kKeyRO = 1u << 0,
  kKeyRW = 1u << 1,
  kKeyOW = 1u << 2,
  kKeyRM = 1u << 3,
  kKeyAccess = 1u << 4,
  kKeyUpdate = 1u << 5,
  kKeyInsert = 1u << 6,
  kKeyDelete = 1u << 7,
  kKeyNotKey = 1u << 8,
  kKeyIncomplete = 1u << 9,
  kKeyVariable = 1u << 10,
};

// Where keys stand among the arguments (the name is argument 0). first 0: no keys. last -1: the last
// argument. Counted: at `first` stands how many keys there are, and they follow. Behind a keyword, or where
// only the command itself knows (find_keys): first is 0.
struct KeySpec {
  int first = 0;
  int last = 0;
  int step = 0;
  uint32_t flags = 0;
  bool counted = false;
  const char* keyword = nullptr;  // in capitals; searched from argument start_from on
  int start_from = 0;
  // Of a keyword. n: the first n-th part of what follows is keys, and it must be there; 0: what follows is
  // one key, and only find_keys knows which such words are options.
  int limit = 0;
  const char* note = nullptr;  // instead of the command's own (command_docs.h)
};

// A key among the arguments, and what the command does with it (KeyFlag).
struct FoundKey {
  int position;
  uint32_t flags;
};

// Which arguments are names of channels that the command listens to or sends to, for ACL.
enum class ChannelArguments : uint8_t {
  kNone,
  kFirst,
  kAll,
  kAllPatterns,  // glob patterns: only a rule of the same words allows them
};

using CommandFunction = void (*)(CommandContext& context);
// For commands whose keys, or what is done with them, cannot be told by positions: appends the keys.
using KeysFunction = void (*)(const std::vector<std::string_view>& args, std::vector<FoundKey>* keys);

// A set of commands by their index.
inline constexpr size_t kCommandsMax = 1024;
using CommandBits = std::bitset<kCommandsMax>;
inline constexpr uint32_t kAclCategories = 21;

struct CommandStats {
  uint64_t calls = 0;
  uint64_t usec = 0;
  uint64_t rejected = 0;  // refused before it ran (arity, auth, loading, no space)
  uint64_t failed = 0;    // ran and replied with an error
  LatencyHistogram latency;
};

struct Command {
  // Lower case. Of a subcommand only its own part ("list"); full_name is "client|list".
  const char* name = "";
  // Arguments with the name; negative: at least so many.
  int arity = 0;
  uint32_t flags = 0;
  uint32_t categories = 0;
  // Most commands have one; COPY, RENAME and their like two (source, destination).
  std::vector<KeySpec> keys;
  CommandFunction run = nullptr;  // null only for a container whose subcommands run
  const char* since = "1.0.0";
  const char* group = "generic";
  const char* summary = "";
  const char* complexity = "";
  KeysFunction find_keys = nullptr;
  std::vector<Command> subcommands;
  std::vector<const char*> tips;
  // Added bytes, beyond those of the arguments, that a run may write: for admission.
  uint32_t extra_write_bytes = 0;
  ChannelArguments channels = ChannelArguments::kNone;

  // Filled in by the table.
  std::string full_name;
  uint32_t index = 0;               // among all commands and subcommands, by name
  const Command* parent = nullptr;  // of a subcommand
  mutable CommandStats stats;

  bool arity_fits(size_t argc) const {
    return arity >= 0 ? argc == static_cast<size_t>(arity) : argc >= static_cast<size_t>(-arity);
  }
};

class CommandTable {
 public:
  // Rows must have distinct names. Call freeze() after the last one; from then on it does not change, but for
  // the statistics, and may be read on any thread.
  void add(Command command);
  void freeze();

  // By any case; null when unknown. Not for subcommands.
  const Command* find(std::string_view name) const;
  // The subcommand of a container, by any case; null when unknown.
  static const Command* find_subcommand(const Command& container, std::string_view name);
  // The command, or of a container the subcommand, that "get" or "config|get" names, by any case; null when
  // unknown.
  const Command* find_by_full_name(std::string_view name) const;
  // All commands and subcommands, by index.
  const std::vector<const Command*>& by_index() const { return by_index_; }
  // The commands that carry the category of this bit number.
  const CommandBits& in_category(uint32_t number) const { return in_category_[number]; }
  const std::vector<std::unique_ptr<Command>>& commands() const { return commands_; }
  void reset_stats();

 private:
  void number_commands();
  uint32_t index_of(const Command& command) const;

  std::vector<std::unique_ptr<Command>> commands_;
  std::vector<const Command*> slots_;  // open addressing, a power of two, at most half full
  std::vector<const Command*> by_index_;
  std::array<CommandBits, kAclCategories> in_category_;
};

// The keys among a command's arguments, and what it does with each: what ACL, COMMAND GETKEYS and execution
// go by. Channels of shards, which have places in the cluster as keys have, are none. Appends to *keys; does
// not allocate when that has room. False: the arguments do not fit the command ("Invalid arguments ...");
// then it touches no key.
bool find_keys(const Command& command, const std::vector<std::string_view>& args,
               std::vector<FoundKey>* keys);
// Whether it can have keys at all.
bool has_keys(const Command& command);

const char* command_flag_name(uint32_t flag);      // one bit -> "denyoom"; null for those not shown
const char* acl_category_name(uint32_t category);  // one bit -> "keyspace"
const char* key_flag_name(uint32_t flag);          // one bit -> "RW", "access"

// Every family, each in families/NAME.cc.
void add_string_commands(CommandTable& table);
void add_bit_commands(CommandTable& table);
void add_bitfield_commands(CommandTable& table);  // both by add_bit_commands()
void add_bitop_commands(CommandTable& table);
void add_lcs_commands(CommandTable& table);
void add_hyperloglog_commands(CommandTable& table);
void add_geo_commands(CommandTable& table);
void add_geo_search_commands(CommandTable& table);  // by add_geo_commands()
void add_key_commands(CommandTable& table);
void add_scan_commands(CommandTable& table);
void add_hash_commands(CommandTable& table);
void add_set_commands(CommandTable& table);
void add_list_commands(CommandTable& table);
void add_list_end_commands(CommandTable& table);
void add_stream_commands(CommandTable& table);
void add_sort_commands(CommandTable& table);
void add_sorted_set_commands(CommandTable& table);
void add_sorted_set_range_commands(CommandTable& table);  // both by add_sorted_set_commands()
void add_sorted_set_algebra_commands(CommandTable& table);
void add_connection_commands(CommandTable& table);
void add_client_commands(CommandTable& table);
void add_acl_commands(CommandTable& table);
void add_admin_commands(CommandTable& table);
void add_introspection_commands(CommandTable& table);
void add_transaction_commands(CommandTable& table);
void add_pubsub_commands(CommandTable& table);
void add_observation_commands(CommandTable& table);
void add_memory_commands(CommandTable& table);
// All of them, and perhaps more rows.
void build_command_table(CommandTable& table, void (*add_more)(CommandTable&) = nullptr);

}  // namespace varve
