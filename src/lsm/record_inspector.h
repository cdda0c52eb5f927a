// record_inspector.h: the only thing the engine lets the layer above say about its records. Pure functions of
// bytes: flush and compaction call them on workers, perhaps on other machines.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lsm/table_meta.h"

namespace varve {

class RecordInspector {
 public:
  virtual ~RecordInspector() = default;

  struct Traits {
    bool owns_collection = false;  // its death leaves a key range dead
    int64_t expire_ms = 0;         // 0: never
  };
  // Of a put record. For table properties.
  virtual Traits traits(std::string_view key, std::string_view value) const {
    (void)key, (void)value;
    return {};
  }

  // What follows from the death of a put record whose killer did not know it.
  struct Death {
    bool counted = false;  // it was counted in counter_id
    uint32_t counter_id = 0;
    std::optional<KeyRange> garbage;  // the elements it owned
  };
  virtual Death death(std::string_view key, std::string_view value) const {
    (void)key, (void)value;
    return {};
  }
};

}  // namespace varve
