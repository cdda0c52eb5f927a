// status.h: how varve reports failures of the world (I/O, damage, bad arguments).
//
// A Status is either ok or a code with a message that names the place ("000012.sst: block at 8192: bad
// checksum"). Result<T> is a T or the Status that explains its absence. Both are [[nodiscard]]; neither
// throws.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace varve {

enum class StatusCode : uint8_t {
  kOk,
  kNotFound,         // the file or key asked for is not there
  kCorruption,       // bytes on disk are not what was written
  kIoError,          // the operating system refused: EIO, EMFILE, ...
  kNoSpace,          // ENOSPC, EDQUOT: may work again later
  kInvalidArgument,  // the caller asked for something that makes no sense
  kBusy,             // held by someone else (directory lock), or must wait (admission)
  kFenced,           // a failed log sync: no write is acknowledged any more
  kUnsupported,      // a newer or foreign format
  kAborted,          // given up because of shutdown
};

const char* status_code_name(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : code_(code), message_(std::make_shared<const std::string>(std::move(message))) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  explicit operator bool() const { return ok(); }
  StatusCode code() const { return code_; }
  // Empty when ok.
  const std::string& message() const;
  // "corruption: 000012.sst: ..." or "ok".
  std::string to_string() const;

#define VARVE_STATUS_FACTORY(name, code)                                               \
  template <class... Args>                                                             \
  static Status name(fmt::format_string<Args...> format, Args&&... args) {             \
    return Status(StatusCode::code, fmt::format(format, std::forward<Args>(args)...)); \
  }                                                                                    \
  bool is_##name() const {                                                             \
    return code_ == StatusCode::code;                                                  \
  }
  VARVE_STATUS_FACTORY(not_found, kNotFound)
  VARVE_STATUS_FACTORY(corruption, kCorruption)
  VARVE_STATUS_FACTORY(io_error, kIoError)
  VARVE_STATUS_FACTORY(no_space, kNoSpace)
  VARVE_STATUS_FACTORY(invalid_argument, kInvalidArgument)
  VARVE_STATUS_FACTORY(busy, kBusy)
  VARVE_STATUS_FACTORY(fenced, kFenced)
  VARVE_STATUS_FACTORY(unsupported, kUnsupported)
  VARVE_STATUS_FACTORY(aborted, kAborted)
#undef VARVE_STATUS_FACTORY

 private:
  StatusCode code_ = StatusCode::kOk;
  std::shared_ptr<const std::string> message_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: implicit on purpose

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const { return status_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T&& take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace varve
