#include "base/words.h"

#include <fmt/format.h>

#include <cctype>

namespace varve {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == 0;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

}  // namespace

bool read_quoted(std::string_view line, char quote, size_t* at, std::string* word) {
  size_t i = *at;
  for (; i < line.size() && line[i] != quote; i++) {
    if (line[i] != '\\' || i + 1 >= line.size()) {
      word->push_back(line[i]);
      continue;
    }
    char next = line[i + 1];
    if (quote == '\'') {
      if (next == '\'') i++;
      word->push_back(line[i]);
    } else if (next == 'x' && i + 3 < line.size() && hex_digit(line[i + 2]) >= 0 &&
               hex_digit(line[i + 3]) >= 0) {
      word->push_back(static_cast<char>(hex_digit(line[i + 2]) * 16 + hex_digit(line[i + 3])));
      i += 3;
    } else {
      word->push_back(unescaped(next));
      i++;
    }
  }
  if (i >= line.size()) return false;
  *at = i + 1;
  return *at == line.size() || is_blank(line[*at]);
}

std::optional<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  for (;;) {
    while (at < line.size() && is_blank(line[at])) at++;
    if (at >= line.size()) return words;
    std::string word;
    while (at < line.size() && !is_blank(line[at])) {
      char c = line[at++];
      if (c != '"' && c != '\'') {
        word.push_back(c);
      } else if (!read_quoted(line, c, &at, &word)) {
        return std::nullopt;
      }
    }
    words.push_back(std::move(word));
  }
}

std::string quote_word(std::string_view word) {
  bool plain = !word.empty() && word[0] != '#';
  for (char c : word)
    plain = plain && std::isgraph(static_cast<unsigned char>(c)) && c != '"' && c != '\'' && c != '\\';
  if (plain) return std::string(word);
  std::string quoted = "\"";
  for (char c : word) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted.push_back('\\');
      quoted.push_back(c);
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (std::isprint(byte)) {
      quoted.push_back(c);
    } else {
      quoted += fmt::format("\\x{:02x}", byte);
    }
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace varve
