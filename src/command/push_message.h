// push_message.h: a message to subscribers or monitors, encoded once for each protocol however many there
// are.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "resp/reply.h"

namespace varve {

class PushMessage {
 public:
  // The views must outlive the message.
  explicit PushMessage(std::vector<std::string_view> words) : words_(std::move(words)) {}
  // One line, the same in both protocols: what monitors get.
  static PushMessage line(const std::string& text) {
    PushMessage message({});
    message.encoded_[0] = message.encoded_[1] = "+" + text + "\r\n";
    return message;
  }

  // An array in RESP2, a push in RESP3.
  std::string_view encoded(int protocol) const {
    std::string& text = encoded_[protocol == 3 ? 1 : 0];
    if (text.empty()) {
      OutputBuffer out;
      Reply reply(out, protocol);
      reply.push(words_.size());
      for (std::string_view word : words_) reply.bulk(word);
      text = out.unsent(out.end());
    }
    return text;
  }

 private:
  std::vector<std::string_view> words_;
  mutable std::array<std::string, 2> encoded_;
};

}  // namespace varve
