// Two roads through the same grammar. parse_complete takes a whole request of small arguments in one pass and
// gives up on anything unusual; the stepwise parser behind it is the one that knows the errors and can stop
// anywhere.
//
// As Redis (src/networking.c), and so kept: the two bytes behind a bulk or a header's \r are skipped unread;
// a negative array length is an empty command; a header's text is judged only once its \r is there. Two
// deliberate differences: an array of more than 1024*1024 arguments is refused (Redis before 7.0; INT_MAX
// there), and a NUL byte does not hide the line end behind it (Redis would wait for more): in an inline
// request it is an error, in a length an invalid length.

#include "resp/parser.h"

#include <cstring>

#include "base/check.h"
#include "base/words.h"

namespace varve {
namespace {

constexpr size_t kHeaderMax = 64 * 1024;  // bytes of a length line without its end
constexpr size_t kUnauthenticatedArgs = 10;
constexpr int64_t kUnauthenticatedBulk = 16384;
constexpr size_t kKeepArgs = 1024;  // capacity kept between commands

// A decimal integer as Redis's string2ll takes it: no sign but '-', no leading zero, nothing around it.
bool parse_length(std::string_view text, int64_t* value) {
  if (text.empty() || text.size() > 20) return false;
  if (text == "0") {
    *value = 0;
    return true;
  }
  bool negative = text[0] == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text[0] < '1' || text[0] > '9') return false;
  uint64_t n = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    if (__builtin_mul_overflow(n, uint64_t{10}, &n)) return false;
    if (__builtin_add_overflow(n, static_cast<uint64_t>(c - '0'), &n)) return false;
  }
  if (n > static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0)) return false;
  *value = static_cast<int64_t>(negative ? 0 - n : n);
  return true;
}

// Reads "<digits>\r?" at p: 1 to 7 digits without a leading zero. Returns the byte behind, or nullptr when it
// is anything else (or not all there).
inline const char* quick_length(const char* p, const char* end, uint32_t* value) {
  if (p == end) return nullptr;
  uint32_t digit = static_cast<uint32_t>(static_cast<unsigned char>(*p)) - '0';
  if (digit > 9) return nullptr;
  uint32_t n = digit;
  const char* first = p++;
  while (p < end && (digit = static_cast<uint32_t>(static_cast<unsigned char>(*p)) - '0') <= 9) {
    if (n == 0 || p - first >= 7) return nullptr;
    n = n * 10 + digit;
    ++p;
  }
  if (end - p < 2 || *p != '\r') return nullptr;
  *value = n;
  return p + 2;
}

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

void Parser::reset() {
  spans_.clear();
  if (spans_.capacity() > kKeepArgs) spans_.shrink_to_fit();
  remaining_ = -1;
  bulk_ = -1;
  position_ = scanned_ = wanted_ = 0;
}

Parser::Step Parser::fail(std::string text) {
  error_ = "Protocol error: " + std::move(text);
  return Step::kError;
}

ParseResult Parser::parse(std::string_view input, const ParserLimits& limits) {
  consumed_ = 0;
  wanted_ = 0;
  if (args_.capacity() > kKeepArgs) args_ = std::vector<std::string_view>();
  if (remaining_ < 0 && scanned_ == 0 && parse_complete(input, limits)) return ParseResult::kCommand;
  size_t start = 0;  // of the command at hand; what is before was empty
  while (true) {
    std::string_view rest = input.substr(start);
    if (rest.empty()) {
      consumed_ = start;
      return ParseResult::kNeedMore;
    }
    bool array = remaining_ >= 0 || rest[0] == '*';
    Step step = array ? parse_multibulk(rest, limits) : parse_inline(rest, limits);
    if (step == Step::kError) return ParseResult::kError;
    if (step == Step::kNeedMore) {
      consumed_ = start;
      return ParseResult::kNeedMore;
    }
    start += position_;
    if (step == Step::kDone) {
      consumed_ = start;
      reset();
      return ParseResult::kCommand;
    }
    reset();
  }
}

// True: a whole command is in args_. False: nothing has changed; the stepwise parser decides.
bool Parser::parse_complete(std::string_view input, const ParserLimits& limits) {
  const char* p = input.data();
  const char* end = p + input.size();
  if (input.size() < 4 || *p != '*') return false;
  uint32_t count = 0;
  p = quick_length(p + 1, end, &count);
  if (p == nullptr || count == 0 || count > 1000 || count > limits.max_multibulk) return false;
  if (limits.unauthenticated && count > kUnauthenticatedArgs) return false;
  uint64_t largest = limits.max_bulk;
  if (limits.unauthenticated && largest > kUnauthenticatedBulk) largest = kUnauthenticatedBulk;
  args_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t size = 0;
    if (p == end || *p != '$') return false;
    p = quick_length(p + 1, end, &size);
    if (p == nullptr || size > largest || static_cast<size_t>(end - p) < size_t{size} + 2) return false;
    args_.emplace_back(p, size);
    p += size + 2;
  }
  consumed_ = static_cast<size_t>(p - input.data());
  return true;
}

// Finds the line at position_ and steps behind it. `line` is without its end.
Parser::Step Parser::read_header(std::string_view input, const char* too_big, std::string_view* line) {
  size_t from = scanned_ > position_ ? scanned_ : position_;
  const void* found =
      from < input.size() ? std::memchr(input.data() + from, '\r', input.size() - from) : nullptr;
  if (found == nullptr) {
    scanned_ = input.size();
    if (input.size() - position_ > kHeaderMax) return fail(too_big);
    return Step::kNeedMore;
  }
  size_t at = static_cast<size_t>(static_cast<const char*>(found) - input.data());
  if (at + 2 > input.size()) {
    scanned_ = at;
    return Step::kNeedMore;
  }
  *line = input.substr(position_, at - position_);
  if (line->size() > kHeaderMax) return fail(too_big);
  scanned_ = position_ = at + 2;
  return Step::kDone;
}

Parser::Step Parser::parse_multibulk(std::string_view input, const ParserLimits& limits) {
  std::string_view line;
  if (remaining_ < 0) {
    Step step = read_header(input, "too big mbulk count string", &line);
    if (step != Step::kDone) return step;
    int64_t count = 0;
    if (!parse_length(line.substr(1), &count) ||
        (count > 0 && static_cast<uint64_t>(count) > limits.max_multibulk)) {
      return fail("invalid multibulk length");
    }
    if (limits.unauthenticated && count > static_cast<int64_t>(kUnauthenticatedArgs)) {
      return fail("unauthenticated multibulk length");
    }
    if (count <= 0) return Step::kEmpty;
    remaining_ = count;
  }
  while (remaining_ > 0) {
    if (bulk_ < 0) {
      Step step = read_header(input, "too big bulk count string", &line);
      if (step != Step::kDone) return step;
      // A lone "\r" line has no first byte of its own: Redis then names the '\r'.
      char first = line.empty() ? '\r' : line[0];
      if (first != '$') return fail(std::string("expected '$', got '") + first + "'");
      int64_t size = 0;
      if (!parse_length(line.substr(1), &size) || size < 0 || static_cast<uint64_t>(size) > limits.max_bulk) {
        return fail("invalid bulk length");
      }
      if (limits.unauthenticated && size > kUnauthenticatedBulk) return fail("unauthenticated bulk length");
      bulk_ = size;
    }
    size_t size = static_cast<size_t>(bulk_);
    if (input.size() - position_ < size + 2) {
      wanted_ = position_ + size + 2;
      return Step::kNeedMore;
    }
    spans_.push_back({position_, size});
    position_ += size + 2;
    scanned_ = position_;
    bulk_ = -1;
    --remaining_;
  }
  args_.clear();
  for (const Span& span : spans_) args_.push_back(input.substr(span.offset, span.size));
  return Step::kDone;
}

Parser::Step Parser::parse_inline(std::string_view input, const ParserLimits& limits) {
  const void* found =
      scanned_ < input.size() ? std::memchr(input.data() + scanned_, '\n', input.size() - scanned_) : nullptr;
  if (found == nullptr) {
    scanned_ = input.size();
    if (input.size() > limits.max_inline) return fail("too big inline request");
    return Step::kNeedMore;
  }
  size_t at = static_cast<size_t>(static_cast<const char*>(found) - input.data());
  position_ = at + 1;
  std::string_view line = input.substr(0, at);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (at > limits.max_inline) return fail("too big inline request");
  if (line.find('\0') != std::string_view::npos) return fail("NUL byte in inline request");
  args_.clear();
  if (!split_line(line)) return fail("unbalanced quotes in request");
  return args_.empty() ? Step::kEmpty : Step::kDone;
}

// Cuts an inline request into arguments, quoted as in base/words.h; false: quotes do not match.
bool Parser::split_line(std::string_view line) {
  // Decoded text is never longer than the line, so reserving it once keeps the views valid.
  unquoted_.clear();
  if (line.find_first_of("\"'") != std::string_view::npos)
    unquoted_.reserve(line.size());
  else if (unquoted_.capacity() > kKeepArgs)
    std::string().swap(unquoted_);
  size_t i = 0;
  while (true) {
    while (i < line.size() && is_space(line[i])) ++i;
    if (i == line.size()) return true;
    size_t start = i;
    while (i < line.size() && line[i] != ' ' && line[i] != '\t' && line[i] != '\r' && line[i] != '"' &&
           line[i] != '\'')
      ++i;
    if (i == line.size() || (line[i] != '"' && line[i] != '\'')) {
      args_.push_back(line.substr(start, i - start));
      continue;
    }
    size_t decoded = unquoted_.size();
    unquoted_.append(line.substr(start, i - start));
    while (i < line.size() && line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
      char c = line[i++];
      if (c != '"' && c != '\'') {
        unquoted_ += c;
        continue;
      }
      if (!read_quoted(line, c, &i, &unquoted_)) return false;
      break;
    }
    VARVE_DCHECK(unquoted_.size() <= line.size());
    args_.push_back(std::string_view(unquoted_).substr(decoded));
  }
}

}  // namespace varve
