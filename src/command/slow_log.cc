#include "command/slow_log.h"

#include <fmt/format.h>

#include <utility>

namespace varve {
namespace {

constexpr size_t kArgumentsMax = 32;
constexpr size_t kArgumentBytesMax = 128;

}  // namespace

size_t SlowLog::bytes_of(const Entry& entry) {
  size_t bytes = sizeof(Entry) + entry.address.capacity() + entry.name.capacity();
  for (const std::string& arg : entry.args) bytes += sizeof(std::string) + arg.capacity();
  return bytes;
}

void SlowLog::shrink(uint64_t entries_max) {
  while (entries_.size() > entries_max) {
    bytes_ -= bytes_of(entries_.back());
    entries_.pop_back();
  }
}

void SlowLog::add(const std::vector<std::string_view>& args, int64_t usec, int64_t time_s,
                  std::string_view address, std::string_view name, uint64_t entries_max) {
  Entry entry{next_id_++, time_s, usec, {}, std::string(address), std::string(name)};
  size_t shown = args.size() > kArgumentsMax ? kArgumentsMax - 1 : args.size();
  entry.args.reserve(shown + 1);
  for (size_t i = 0; i < shown; ++i) {
    std::string_view arg = args[i];
    std::string& kept = entry.args.emplace_back(arg.substr(0, kArgumentBytesMax));
    if (arg.size() > kept.size()) kept += fmt::format("... ({} more bytes)", arg.size() - kept.size());
  }
  if (args.size() > shown) entry.args.push_back(fmt::format("... ({} more arguments)", args.size() - shown));
  bytes_ += bytes_of(entry);
  entries_.push_front(std::move(entry));
  shrink(entries_max);
}

void SlowLog::clear() {
  shrink(0);
}

}  // namespace varve
