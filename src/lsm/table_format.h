// table_format.h: how a sorted table lies in its file. Written once by TableBuilder, never changed after.
//
//   file       := section* range_block? top_index? properties footer
//   section    := data_block+ filter_partition? index_partition      both are about that run of data blocks
//
//   Blocks follow each other without gaps. Every block:
//
//   stored     := bytes                          compression 0
//               | raw_size:varint compressed     compression 1 (LZ4 block), 2 (Zstandard frame)
//   block      := stored compression:u8 checksum:u64
//
//   The checksum is XXH3 of `stored compression` seeded with (file identity, offset, kind of block), so that
//   a block in another place or from another file does not pass. A handle counts `stored` only.
//
//   Data, index, top index and range blocks hold entries in order (block_builder.h):
//
//   entries    := (shared:varint unshared:varint tag:varint value_size:varint key_delta value)*
//   raw block  := entries restart:u32* bucket:u8* bucket_count:u16 restart_count:u32
//
//   shared     is the whole common prefix with the key before, but 0 at a restart point
//   restart    the offset of such an entry
//   bucket     data blocks only: which restart interval holds the keys of that hash; 255: none, 254: several
//
//   data       key -> value, tag as in key_format.h (puts and deletes)
//   index      separator -> offset:varint size:varint                      of a data block; tag 0
//   top index  separator -> index offset, size; filter offset, size (0: no filter); tag 0
//   range      begin -> end:length-prefixed more:varint drop:varint*
//                tag: the newest sequence, range delete; drop: the others, each as its distance to the
//                one before
//   filter     lines of 64 bytes, probes:u8 (filter.h)
//   properties TableMeta (table_meta.h) with file_size 0
//
//   A separator is >= every key of its block and <= every key of the blocks after it; it equals a later key
//   only where the versions of one key go on in the next block. Fixed integers are little-endian.
//
//   footer     := top_index range properties (each offset:u64 size:u64)  number:u64
//                 identity:high u64, low u64  checksum:u64 (of the footer so far, seeded by place)  tail
//   tail       := version:u32 footer_size:u32 checksum:u64 (of the 8 bytes before, seeded with the magic)
//                 magic:u64
//
// The tail is the same in every version to come, so an old build can tell "newer" from "damaged".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/coding.h"
#include "base/identity.h"
#include "base/status.h"
#include "lsm/table_meta.h"

namespace varve {

inline constexpr uint64_t kTableMagic = 0x6c62746576726176;  // "varvetbl"
inline constexpr uint32_t kTableVersion = 1;
inline constexpr size_t kBlockTrailerSize = 9;
inline constexpr size_t kTableTailSize = 24;
inline constexpr size_t kTableFooterSize = 3 * 16 + 8 + 16 + 8 + kTableTailSize;
// No block is larger, raw or stored: a record of the largest key and value fits, and so does any sane index.
inline constexpr uint64_t kMaxBlockSize = 256 * 1024 * 1024;

struct TableFooter {
  BlockHandle top_index;
  BlockHandle range_block;
  BlockHandle properties;
  uint64_t number = 0;
  Identity identity;

  // kTableFooterSize bytes, for a footer at `offset`.
  std::string encode(uint64_t offset) const;
  // `bytes`: the last kTableFooterSize bytes of a file of file_size. kCorruption or kUnsupported without a
  // file name.
  Status decode(std::string_view bytes, uint64_t file_size);
};

inline void put_handle(std::string* out, BlockHandle handle) {
  put_varint(out, handle.offset);
  put_varint(out, handle.size);
}
inline bool get_handle(std::string_view* in, BlockHandle* handle) {
  return get_varint(in, &handle->offset) && get_varint(in, &handle->size);
}
// Could a block be there in a file of that size? (The sums cannot overflow: sizes are bounded first.)
inline bool handle_fits(BlockHandle handle, uint64_t file_size) {
  return handle.size > 0 && handle.size <= kMaxBlockSize && handle.offset <= file_size &&
         handle.size + kBlockTrailerSize <= file_size - handle.offset;
}

// Value of a top index entry.
struct PartitionHandles {
  BlockHandle index;
  BlockHandle filter;  // size 0: none

  void encode(std::string* out) const {
    put_handle(out, index);
    put_handle(out, filter);
  }
  bool decode(std::string_view in) {
    return get_handle(&in, &index) && get_handle(&in, &filter) && in.empty();
  }
};

// Shortest key s with last <= s < next; `last` itself where none is shorter. Needs last <= next.
std::string shortest_separator(std::string_view last, std::string_view next);

}  // namespace varve
