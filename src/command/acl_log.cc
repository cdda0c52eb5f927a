#include "command/acl_log.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace varve {
namespace {

constexpr int64_t kSameMs = 60'000;
constexpr size_t kLookedAt = 10;  // entries, for one that is alike

bool alike(const AclLogEntry& a, const AclLogEntry& b) {
  return a.reason == b.reason && a.context == b.context && std::abs(a.at_ms - b.at_ms) <= kSameMs &&
         a.object == b.object && a.user == b.user;
}

}  // namespace

void AclLog::add(AclLogEntry entry, uint64_t length_max) {
  if (entry.object.size() > kTextMax) entry.object.resize(kTextMax);
  if (entry.user.size() > kTextMax) entry.user.resize(kTextMax);
  auto end = entries_.begin() + static_cast<std::ptrdiff_t>(std::min(kLookedAt, entries_.size()));
  auto same =
      std::find_if(entries_.begin(), end, [&](const AclLogEntry& known) { return alike(known, entry); });
  if (same != end) {
    entry.count = same->count + 1;
    bytes_ -= size_of(*same);
    entries_.erase(same);
  }
  bytes_ += size_of(entry);
  entries_.push_front(std::move(entry));
  while (!entries_.empty() && (entries_.size() > length_max || bytes_ > kBytesMax)) {
    bytes_ -= size_of(entries_.back());
    entries_.pop_back();
  }
}

void AclLog::clear() {
  entries_.clear();
  bytes_ = 0;
}

size_t AclLog::size_of(const AclLogEntry& entry) {
  return sizeof entry + entry.object.size() + entry.user.size() + entry.client.size();
}

const char* acl_reason_name(AclVerdict reason) {
  switch (reason) {
    case AclVerdict::kCommand:
      return "command";
    case AclVerdict::kKey:
      return "key";
    case AclVerdict::kChannel:
      return "channel";
    case AclVerdict::kAuth:
      return "auth";
    case AclVerdict::kAllowed:
      break;
  }
  return "unknown";
}

const char* acl_context_name(AclContext context) {
  return context == AclContext::kMulti ? "multi" : "toplevel";
}

}  // namespace varve
