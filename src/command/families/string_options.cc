#include "command/families/string_options.h"

#include <fmt/format.h>

#include "command/numbers.h"

namespace varve {
namespace {

// EX, PX, EXAT, PXAT with their number. At most one kind; the same kind again overrides.
bool take_expiry(CommandContext& context, size_t* i, StringOptions* options) {
  struct Kind {
    const char* name;
    bool seconds;
    bool absolute;
  };
  static constexpr Kind kKinds[] = {
      {"ex", true, false}, {"px", false, false}, {"exat", true, true}, {"pxat", false, true}};
  std::string_view word = context.args[*i];
  for (const Kind& kind : kKinds) {
    if (!equals_ignoring_case(word, kind.name)) continue;
    bool other = options->expire.data() != nullptr &&
                 (options->expire_seconds != kind.seconds || options->expire_absolute != kind.absolute);
    if (other || options->keep_ttl || options->persist || *i + 1 >= context.args.size()) return false;
    options->expire = context.args[++*i];
    options->expire_seconds = kind.seconds;
    options->expire_absolute = kind.absolute;
    return true;
  }
  return false;
}

}  // namespace

bool parse_set_options(CommandContext& context, size_t first, StringOptions* options) {
  for (size_t i = first; i < context.args.size(); ++i) {
    std::string_view word = context.args[i];
    if (equals_ignoring_case(word, "nx") && !options->xx) {
      options->nx = true;
    } else if (equals_ignoring_case(word, "xx") && !options->nx) {
      options->xx = true;
    } else if (equals_ignoring_case(word, "get")) {
      options->get = true;
    } else if (equals_ignoring_case(word, "keepttl") && options->expire.data() == nullptr) {
      options->keep_ttl = true;
    } else if (!take_expiry(context, &i, options)) {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

bool parse_getex_options(CommandContext& context, size_t first, StringOptions* options) {
  for (size_t i = first; i < context.args.size(); ++i) {
    if (equals_ignoring_case(context.args[i], "persist") && options->expire.data() == nullptr) {
      options->persist = true;
    } else if (!take_expiry(context, &i, options)) {
      context.reply.error(errors::kSyntax);
      return false;
    }
  }
  return true;
}

bool parse_expire_time(CommandContext& context, std::string_view text, bool seconds, bool absolute,
                       int64_t* expire_ms) {
  int64_t value = 0;
  if (!parse_integer(text, &value)) {
    context.reply.error(errors::kNotInteger);
    return false;
  }
  bool fits = value > 0 && (!seconds || value <= INT64_MAX / 1000);
  if (fits && seconds) value *= 1000;
  if (fits && !absolute) {
    fits = value <= INT64_MAX - context.now_ms();
    if (fits) value += context.now_ms();
  }
  if (!fits) {
    context.reply.error(fmt::format("ERR invalid expire time in '{}' command", context.command.full_name));
    return false;
  }
  *expire_ms = value;
  return true;
}

}  // namespace varve
