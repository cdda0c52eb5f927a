// sim_members.h: replies that hold fields or members in an order the model does not know.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "prove/sim_model.h"

namespace varve::prove {

// Of a hash both or one of them; a set has no values. kReplies: both, and the values are replies already.
enum class Shown : uint8_t { kMembers, kValues, kBoth, kReplies };

// One of them as it stands in a reply. `nested`: each pair is an array.
std::string shown_member(const std::string& member, const std::string& value, Shown shown,
                         bool nested = false);

// What stands behind a header, in pieces of so many replies each. False: it is no such reply.
bool split_pieces(std::string_view reply, std::string_view header, size_t replies_each,
                  std::vector<std::string>* pieces);

// The reply is the header and all members, in any order.
void reply_all(ModelRun& run, const std::string& header, const std::map<std::string, std::string>& members,
               Shown shown);
// The reply is the header and `count` of them; each at most once if `distinct`.
void reply_some(ModelRun& run, const std::string& header, const std::map<std::string, std::string>& members,
                Shown shown, bool nested, size_t count, bool distinct);
// HSCAN, SSCAN and ZSCAN: a page of what is there now; from 0 to 0 it is all.
void reply_page(ModelRun& run, const std::map<std::string, std::string>& members, Shown shown);

}  // namespace varve::prove
