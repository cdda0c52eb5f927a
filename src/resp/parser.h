// parser.h: cuts a client's byte stream into commands: RESP arrays of bulk strings, or inline lines.
// Incremental: feed it whatever is there, it says how much it used. Never allocates ahead of the data: a
// declared length costs nothing until its bytes arrive. Errors are Redis's, byte for byte ("Protocol error:
// invalid bulk length"), and final.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct ParserLimits {
  uint64_t max_bulk = 512ull << 20;      // proto-max-bulk-len
  uint64_t max_multibulk = 1024 * 1024;  // arguments; Redis takes INT_MAX, see parser.cc
  uint64_t max_inline = 64 * 1024;
  // Before AUTH, as Redis: at most 10 arguments of at most 16 KiB.
  bool unauthenticated = false;
};

enum class ParseResult : uint8_t { kCommand, kNeedMore, kError };

class Parser {
 public:
  // Looks for one command at the start of `input` (always the same unconsumed bytes, perhaps with more
  // behind; what was parsed before is remembered, not parsed again). kCommand: args() are views into `input`
  // (inline ones perhaps into the parser), consumed() bytes are used up; the caller drops them before the
  // next call, after it is done with args(). An empty command (empty line, *0) is consumed and skipped.
  // kNeedMore: consumed() bytes (skipped empty commands, perhaps 0) are used up and must be dropped too.
  // kError: nothing more can be read from this client.
  ParseResult parse(std::string_view input, const ParserLimits& limits);
  const std::vector<std::string_view>& args() const { return args_; }
  // Exchanges args() with `args`, so that two vectors serve a connection without allocating.
  void swap_args(std::vector<std::string_view>& args) { args_.swap(args); }
  size_t consumed() const { return consumed_; }
  // Text behind "-ERR " for kError.
  const std::string& error() const { return error_; }
  // How many bytes from the start of input are needed at least before parse() can get further (to size the
  // buffer for a big bulk); 0 when unknown. Counted from the input left after consumed().
  size_t wanted() const { return wanted_; }
  // Forgets everything parsed in part.
  void reset();
  size_t memory_used() const {
    return spans_.capacity() * sizeof(Span) + args_.capacity() * sizeof(std::string_view) +
           unquoted_.capacity();
  }

 private:
  // An argument of a command parsed in part: offsets into the input, so that the buffer may move.
  struct Span {
    size_t offset;
    size_t size;
  };
  enum class Step : uint8_t { kDone, kNeedMore, kError, kEmpty };

  bool parse_complete(std::string_view input, const ParserLimits& limits);
  Step parse_inline(std::string_view input, const ParserLimits& limits);
  Step parse_multibulk(std::string_view input, const ParserLimits& limits);
  Step read_header(std::string_view input, const char* too_big, std::string_view* line);
  bool split_line(std::string_view line);
  Step fail(std::string text);

  std::vector<Span> spans_;
  std::vector<std::string_view> args_;
  std::string unquoted_;    // inline arguments with quotes and escapes, decoded
  int64_t remaining_ = -1;  // arguments still to come; -1: no array header yet
  int64_t bulk_ = -1;       // size of the bulk whose header was read; -1: none
  size_t position_ = 0;     // where parsing goes on
  size_t scanned_ = 0;      // no line end in [position_, scanned_)
  size_t consumed_ = 0;
  size_t wanted_ = 0;
  std::string error_;
};

}  // namespace varve
