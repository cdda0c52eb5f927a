#include "command/families/stream_args.h"

#include <cerrno>
#include <cstdlib>
#include <string>

#include "command/numbers.h"

namespace varve {
namespace {

constexpr size_t kIdTextMax = 127;
// Redis's default LIMIT of "~": a hundred nodes.
constexpr uint64_t kUsualLimit = 10'000;

// As Redis's string2ull: what is no integer of ours is given to strtoull, blanks, signs and all.
bool parse_part(const std::string& text, uint64_t* value) {
  int64_t number = 0;
  if (parse_integer(text, &number)) {
    *value = static_cast<uint64_t>(number);
    return number >= 0;
  }
  errno = 0;
  char* end = nullptr;
  *value = std::strtoull(text.c_str(), &end, 10);
  return errno == 0 && !text.empty() && *end == '\0';
}

// `any_sequence`, if it is given, takes "ms-*". False: it is no id.
bool parse_id(std::string_view text, uint64_t missing, StreamId* id, bool* any_sequence) {
  if (text.size() > kIdTextMax) return false;
  text = text.substr(0, text.find('\0'));
  size_t dash = text.find('-');
  if (!parse_part(std::string(text.substr(0, dash)), &id->ms)) return false;
  id->seq = missing;
  if (dash == std::string_view::npos) return true;
  text.remove_prefix(dash + 1);
  if (any_sequence != nullptr && text == "*") {
    *any_sequence = true;
    id->seq = 0;
    return true;
  }
  return parse_part(std::string(text), &id->seq);
}

bool fail(CommandContext& context, const char* error) {
  context.reply.error(error);
  return false;
}

bool parse_threshold(CommandContext& context, std::string_view text, StreamTrim* trim) {
  if (trim->by == StreamTrim::By::kId) return id_argument(context, text, 0, &trim->id);
  int64_t length = 0;
  if (!integer_argument(context, text, &length)) return false;
  if (length < 0) return fail(context, errors::kNegativeStreamLength);
  trim->length = static_cast<uint64_t>(length);
  return true;
}

// MAXLEN or MINID at argument *at, of which nothing but [=|~] threshold is left; *at is left at the
// threshold.
bool parse_trim(CommandContext& context, size_t* at, StreamTrim* trim) {
  const auto& args = context.args;
  if (trim->by != StreamTrim::By::kNothing) return fail(context, errors::kTrimTwice);
  trim->by = equals_ignoring_case(args[*at], "maxlen") ? StreamTrim::By::kLength : StreamTrim::By::kId;
  ++*at;
  bool more = *at + 1 < args.size();
  trim->approximate = more && args[*at] == "~";
  if (more && (args[*at] == "~" || args[*at] == "=")) ++*at;
  return parse_threshold(context, args[*at], trim);
}

}  // namespace

bool id_argument(CommandContext& context, std::string_view text, uint64_t missing, StreamId* id) {
  return parse_id(text, missing, id, nullptr) || fail(context, errors::kInvalidStreamId);
}

bool bound_argument(CommandContext& context, std::string_view text, uint64_t missing, StreamId* id,
                    bool* exclusive) {
  *exclusive = text.size() > 1 && text[0] == '(';
  if (*exclusive) return id_argument(context, text.substr(1), missing, id);
  bool least = text == "-";
  if (!least && text != "+") return id_argument(context, text, missing, id);
  *id = least ? StreamId() : kLastStreamId;
  return true;
}

bool parse_stream_options(CommandContext& context, bool add, StreamOptions* options) {
  const auto& args = context.args;
  StreamTrim& trim = options->trim;
  bool limited = false;
  size_t i = 2;
  for (; i < args.size(); ++i) {
    bool more = i + 1 < args.size();
    if (add && args[i] == "*") break;
    if (more && (equals_ignoring_case(args[i], "maxlen") || equals_ignoring_case(args[i], "minid"))) {
      if (!parse_trim(context, &i, &trim)) return false;
    } else if (more && equals_ignoring_case(args[i], "limit")) {
      int64_t limit = 0;
      if (!integer_argument(context, args[++i], &limit)) return false;
      if (limit < 0) return fail(context, errors::kNegativeTrimLimit);
      trim.limit = static_cast<uint64_t>(limit);
      limited = true;
    } else if (add && equals_ignoring_case(args[i], "nomkstream")) {
      options->make = false;
    } else if (add) {
      StreamId id;
      if (!parse_id(args[i], 0, &id, &options->any_sequence)) return fail(context, errors::kInvalidStreamId);
      options->id = id;
      break;
    } else {
      return fail(context, errors::kSyntax);
    }
  }
  options->fields = i + 1;
  bool trims = trim.by != StreamTrim::By::kNothing;
  if (trim.limit > 0 && !trims) return fail(context, errors::kLimitWithoutTrim);
  if (!add && !trims) return fail(context, errors::kTrimWithoutStrategy);
  if (limited && !trim.approximate) return fail(context, errors::kLimitWithoutTilde);
  if (!limited && trim.approximate) trim.limit = kUsualLimit;
  return true;
}

}  // namespace varve
