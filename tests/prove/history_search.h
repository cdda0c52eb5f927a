// history_search.h: the search for an order of operations that explains every answer (history.h says what
// that means). Apart from it, so that telling what is wrong can search in parts of a history too.
#pragma once

#include <optional>
#include <vector>

#include "prove/history.h"

namespace varve::prove {

struct SearchResult {
  // The operation whose answer nothing explains any more; an index into the operations.
  std::optional<size_t> contradiction;
  bool given_up = false;  // a bound of history.h was met
  size_t explanations_max = 0;
};

// The operations of one component, those of each client in the order of sending.
SearchResult search(const std::vector<Operation>& operations);

}  // namespace varve::prove
