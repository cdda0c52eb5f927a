// merging_iterator.h: several sorted record iterators as one, in both directions. Among equal (key, sequence)
// the earlier child comes first (pass newer runs first). kMiss and kError of any child that is needed to know
// the next record become the merge's own; children go on collecting misses so that one run finds them all.
#pragma once

#include <memory>
#include <vector>

#include "lsm/iterator.h"

namespace varve {

std::unique_ptr<RecordIterator> new_merging_iterator(std::vector<std::unique_ptr<RecordIterator>> children);

}  // namespace varve
