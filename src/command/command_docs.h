// command_docs.h: what COMMAND DOCS and COMMAND INFO tell beyond the command table: arguments, notes on keys,
// what is deprecated. redis-cli makes its hints from the arguments.
//
// Arguments are written in a short syntax and parsed when somebody asks:
//
//   arguments := argument { " " argument }
//   argument  := [ TOKEN "=" ] name [ ":" type ] [ choices | block ] { "?" | "*" | "+" } since
//   choices   := "(" argument { "|" argument } ")"       one of them
//   block     := "{" arguments "}"                       all of them, in order
//   since     := [ "@" version ] [ "!" version ]
//
// A name in capitals alone is a token without a value. The type is string unless said otherwise; it may be
// followed by the number of a key specification ("key1"). "?": may be missing, "*": may come again, "+" with
// its token. "@": since which version it is there, "!": since which it is deprecated. A name in single quotes
// may hold any of these characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct CommandDocs {
  const char* name = "";
  const char* syntax = "";
  const char* key_note = "";
  const char* deprecated_since = "";
  const char* replaced_by = "";
  bool system = false;  // not meant for applications
};

// Empty for a command that needs none. By full name, in lower case.
CommandDocs command_docs(std::string_view full_name);

struct DocArgument {
  std::string name;
  std::string type;
  std::string token;
  std::string since, deprecated_since;
  int key_spec = -1;
  std::vector<std::string> flags;
  std::vector<DocArgument> parts;
};

// The syntax is our own constant: a mistake in it is a failed check.
std::vector<DocArgument> parse_syntax(std::string_view syntax);

}  // namespace varve
