#include "base/status.h"

namespace varve {

const char* status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kNotFound:
      return "not found";
    case StatusCode::kCorruption:
      return "corruption";
    case StatusCode::kIoError:
      return "I/O error";
    case StatusCode::kNoSpace:
      return "no space";
    case StatusCode::kInvalidArgument:
      return "invalid argument";
    case StatusCode::kBusy:
      return "busy";
    case StatusCode::kFenced:
      return "log fenced";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kAborted:
      return "aborted";
  }
  return "unknown";
}

const std::string& Status::message() const {
  static const std::string empty;
  return message_ ? *message_ : empty;
}

std::string Status::to_string() const {
  if (ok()) return "ok";
  return fmt::format("{}: {}", status_code_name(code_), message());
}

}  // namespace varve
