#include "lsm/table_meta.h"

#include "base/coding.h"
#include "lsm/table_format.h"

// meta := number file_size  identity.high:u64 identity.low:u64
//         smallest largest (length-prefixed)  exclusive:u8
//         smallest_sequence largest_sequence records deletes range_deletes blind collections raw_key_bytes
//         raw_value_bytes data_blocks expiring_bytes (varints)  min_expire max_expire (zigzag varints)
//         top_index range_block (offset, size: varints)
//
// Versioned by what holds it: the manifest and the table's footer.
namespace varve {

void TableMeta::encode(std::string* out) const {
  put_varint(out, number);
  put_varint(out, file_size);
  put_fixed64(out, identity.high);
  put_fixed64(out, identity.low);
  put_length_prefixed(out, smallest);
  put_length_prefixed(out, largest);
  out->push_back(largest_exclusive ? 1 : 0);
  for (uint64_t v : {smallest_sequence, largest_sequence, records, deletes, range_deletes, blind, collections,
                     raw_key_bytes, raw_value_bytes, data_blocks, expiring_bytes}) {
    put_varint(out, v);
  }
  put_varint(out, zigzag(min_expire_ms));
  put_varint(out, zigzag(max_expire_ms));
  put_handle(out, top_index);
  put_handle(out, range_block);
}

bool TableMeta::decode(std::string_view* in) {
  std::string_view low, high;
  uint8_t exclusive = 0;
  if (!get_varint(in, &number) || !get_varint(in, &file_size) || !get_fixed64(in, &identity.high) ||
      !get_fixed64(in, &identity.low) || !get_length_prefixed(in, &low) || !get_length_prefixed(in, &high) ||
      !get_u8(in, &exclusive)) {
    return false;
  }
  for (uint64_t* v : {&smallest_sequence, &largest_sequence, &records, &deletes, &range_deletes, &blind,
                      &collections, &raw_key_bytes, &raw_value_bytes, &data_blocks, &expiring_bytes}) {
    if (!get_varint(in, v)) return false;
  }
  uint64_t min_expire = 0, max_expire = 0;
  if (!get_varint(in, &min_expire) || !get_varint(in, &max_expire) || !get_handle(in, &top_index) ||
      !get_handle(in, &range_block)) {
    return false;
  }
  if (low.size() > kMaxEngineKeySize || high.size() > kMaxEngineKeySize || low > high || exclusive > 1)
    return false;
  // Nothing lies in [x, x).
  if (exclusive == 1 && low == high) return false;
  if (smallest_sequence > largest_sequence || largest_sequence > kMaxSequence) return false;
  if (deletes > records || blind > records || collections > records || data_blocks > records) return false;
  // A properties block cannot know the size of its own file: 0 there.
  for (const BlockHandle& handle : {top_index, range_block}) {
    bool fits = handle_fits(handle, file_size == 0 ? uint64_t{1} << 62 : file_size);
    if (handle != BlockHandle{} && !fits) return false;
  }
  if ((records > 0) != (top_index.size > 0) || (range_deletes > 0) != (range_block.size > 0)) return false;
  smallest = low;
  largest = high;
  largest_exclusive = exclusive == 1;
  min_expire_ms = unzigzag(min_expire);
  max_expire_ms = unzigzag(max_expire);
  return true;
}

}  // namespace varve
