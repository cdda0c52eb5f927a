// sim_resp.h: as much of RESP as a client of the simulator needs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace varve::prove {

// A request as clients send it.
void append_request(const std::vector<std::string>& args, std::string* out);
// The same as people type it; false, and nothing appended, if an argument has no such form.
bool append_line(const std::vector<std::string>& args, std::string* out);
// The length of the first whole reply; 0: not whole yet. `bytes` is what varve sent, so it is well formed or
// the simulator complains about something else first.
size_t reply_length(std::string_view bytes);

bool parse_bulk(std::string_view reply, std::string* bytes);
bool parse_scan(std::string_view reply, std::string* cursor, std::vector<std::string>* keys);
// For messages: one line, cut.
std::string printable(std::string_view bytes, size_t max = 160);

}  // namespace varve::prove
