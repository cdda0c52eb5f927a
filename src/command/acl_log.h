// acl_log.h: what ACL refused, the newest first: ACL LOG. Refusals that are alike and come within a minute
// are one entry. Bounded by acllog-max-len and by its bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "command/acl_user.h"

namespace varve {

enum class AclContext : uint8_t { kTopLevel, kMulti };

struct AclLogEntry {
  uint64_t count = 1;
  AclVerdict reason = AclVerdict::kCommand;
  AclContext context = AclContext::kTopLevel;
  std::string object;  // the command, the key, the channel; of AUTH its own name
  std::string user;
  int64_t at_ms = 0;   // the last time
  std::string client;  // as CLIENT LIST shows the last one
};

class AclLog {
 public:
  // Objects and names are cut at this length (ours: they come from clients).
  static constexpr size_t kTextMax = 1024;
  static constexpr size_t kBytesMax = 1 << 20;

  void add(AclLogEntry entry, uint64_t length_max);
  void clear();
  const std::deque<AclLogEntry>& entries() const { return entries_; }
  size_t memory_used() const { return bytes_; }

 private:
  static size_t size_of(const AclLogEntry& entry);

  std::deque<AclLogEntry> entries_;
  size_t bytes_ = 0;
};

const char* acl_reason_name(AclVerdict reason);    // "command", "key", "auth", "channel"
const char* acl_context_name(AclContext context);  // "toplevel", "multi"

}  // namespace varve
