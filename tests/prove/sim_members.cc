#include "prove/sim_members.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "prove/sim_resp.h"

namespace varve::prove {
namespace {

std::vector<std::string> all_shown(const std::map<std::string, std::string>& members, Shown shown,
                                   bool nested = false) {
  std::vector<std::string> all;
  for (const auto& [member, value] : members) all.push_back(shown_member(member, value, shown, nested));
  return all;
}

}  // namespace

std::string shown_member(const std::string& member, const std::string& value, Shown shown, bool nested) {
  std::string text = nested ? "*2\r\n" : "";
  if (shown != Shown::kValues) text += fmt::format("${}\r\n", member.size()) + member + "\r\n";
  if (shown == Shown::kReplies) return text + value;
  if (shown != Shown::kMembers) text += fmt::format("${}\r\n", value.size()) + value + "\r\n";
  return text;
}

bool split_pieces(std::string_view reply, std::string_view header, size_t replies_each,
                  std::vector<std::string>* pieces) {
  if (!reply.starts_with(header)) return false;
  for (reply.remove_prefix(header.size()); !reply.empty();) {
    size_t length = 0;
    for (size_t i = 0; i < replies_each; ++i) {
      size_t n = reply_length(reply.substr(length));
      if (n == 0) return false;
      length += n;
    }
    pieces->emplace_back(reply.substr(0, length));
    reply.remove_prefix(length);
  }
  return true;
}

void reply_all(ModelRun& run, const std::string& header, const std::map<std::string, std::string>& members,
               Shown shown) {
  std::vector<std::string> wanted = all_shown(members, shown);
  std::sort(wanted.begin(), wanted.end());
  run.check_stays = true;
  run.check = [header, wanted = std::move(wanted), shown](std::string_view reply) -> std::string {
    std::vector<std::string> pieces;
    if (!split_pieces(reply, header, shown == Shown::kBoth ? 2 : 1, &pieces)) return "not such a reply";
    std::sort(pieces.begin(), pieces.end());
    for (size_t i = 0; i < std::max(pieces.size(), wanted.size()); ++i) {
      if (i >= pieces.size() || (i < wanted.size() && wanted[i] < pieces[i]))
        return printable(wanted[i]) + " is missing";
      if (i >= wanted.size() || pieces[i] != wanted[i]) return printable(pieces[i]) + " is too much";
    }
    return "";
  };
}

void reply_some(ModelRun& run, const std::string& header, const std::map<std::string, std::string>& members,
                Shown shown, bool nested, size_t count, bool distinct) {
  std::vector<std::string> all = all_shown(members, shown, nested);
  bool both = shown == Shown::kBoth || shown == Shown::kReplies;
  size_t replies_each = both && !nested ? 2 : 1;
  run.check_stays = true;
  run.check = [=, there = std::set<std::string>(all.begin(), all.end())](std::string_view reply) {
    std::vector<std::string> pieces;
    if (!split_pieces(reply, header, replies_each, &pieces) || pieces.size() != count)
      return fmt::format("{} of the members expected", count);
    for (const std::string& piece : pieces) {
      if (!there.contains(piece)) return printable(piece) + " is not there";
    }
    bool twice = std::set<std::string>(pieces.begin(), pieces.end()).size() < pieces.size();
    return std::string(distinct && twice ? "the same twice" : "");
  };
}

void reply_page(ModelRun& run, const std::map<std::string, std::string>& members, Shown shown) {
  run.check = [members, shown, from_start = run.args[2] == "0"](std::string_view reply) -> std::string {
    std::string cursor;
    std::vector<std::string> words;
    if (!parse_scan(reply, &cursor, &words)) return "not a scan's reply";
    std::set<std::string> seen;
    for (size_t i = 0; i < words.size(); ++i) {
      auto there = members.find(words[i]);
      if (there == members.end()) return printable(words[i]) + " is not there";
      if (!seen.insert(words[i]).second) return printable(words[i]) + " comes twice";
      if (shown == Shown::kBoth && (++i == words.size() || words[i] != there->second))
        return printable(there->first) + " has another value";
    }
    bool whole = from_start && cursor == "0";
    return whole && seen.size() < members.size() ? "not all although it is the end" : "";
  };
}

}  // namespace varve::prove
