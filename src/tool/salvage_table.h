// salvage_table.h: a table that may be damaged in part, block by block. What its index says is asked first;
// where the index itself is gone, blocks are searched for: they follow each other without gaps
// (lsm/table_format.h), and a checksum seeded with its place tells one from anything else.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lsm/block_reader.h"
#include "lsm/range_tombstones.h"
#include "lsm/table.h"
#include "tool/losses.h"

namespace varve::tool {

struct SurveyedTable {
  OpenTableRef table;
  std::vector<BlockHandle> data;  // intact data blocks, in key order
};

// Reads and checks all of the table `name`. `named`: what the manifest says of it, or null; with it, a table
// whose footer is gone can be read too. Range deletes go to *ranges, what is missing to *losses. Null table:
// nothing can be read.
Result<SurveyedTable> survey_table(FileSystem& fs, const std::string& dir, const std::string& name,
                                   const TableMeta* named, RangeTombstones* ranges, Losses* losses);

// Walks the records of the intact blocks, forwards, once.
class SurveyedRecords {
 public:
  explicit SurveyedRecords(SurveyedTable table) : table_(std::move(table)) {}
  // The first record, then the next one; false at the end or on a failure.
  bool next();
  std::string_view key() const { return it_.key(); }
  std::string_view value() const { return it_.value(); }
  Tag tag() const { return it_.tag(); }
  const Status& status() const { return status_; }

 private:
  SurveyedTable table_;
  size_t next_block_ = 0;
  BlockRef block_;
  BlockIterator it_;
  Status status_;
};

}  // namespace varve::tool
