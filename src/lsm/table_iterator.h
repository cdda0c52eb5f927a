// table_iterator.h: the iterator over one table, as a type: readers inside lsm/ can hold it by value and ask
// for the block it stands in.
//
//   top index -> index partition -> data block, each level's block held while the iterator stands in it.
#pragma once

#include "lsm/block_reader.h"
#include "lsm/table.h"

namespace varve {

class TableIterator final : public RecordIterator {
 public:
  TableIterator(BlockSource* source, TableRef table) : source_(source), table_(std::move(table)) {}

  void seek_to_first() override;
  void seek_to_last() override;
  void seek(std::string_view key) override;
  void seek_before(std::string_view key) override;
  void next() override;
  void prev() override;
  bool begins_key() const override { return data_.it.begins_key(); }
  Status status() const override { return status_; }

  // Holds what value() points to.
  const BlockRef& data_block() const { return data_.block; }

 private:
  // One level: a block and a place in it.
  struct Level {
    BlockRef block;
    BlockHandle handle;
    BlockIterator it;
  };
  enum class Direction : uint8_t { kForward, kBackward };

  bool start();
  bool open(Level& level, BlockHandle handle, BlockKind kind);
  bool open_top();
  bool open_index();
  bool open_data();
  bool stop(IterState state);
  bool malformed(const Level& level);
  void settle(Direction direction);
  bool step_data_block(Direction direction);
  void ask_ahead(Direction direction);

  BlockSource* source_;
  TableRef table_;
  Level top_;
  Level index_;
  Level data_;
  Status status_;
  uint32_t blocks_crossed_ = 0;  // since the last seek
};

}  // namespace varve
