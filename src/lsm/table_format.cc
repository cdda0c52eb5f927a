#include "lsm/table_format.h"

#include <algorithm>

#include "base/checksum.h"
#include "lsm/block.h"

namespace varve {
namespace {

void put_fixed_handle(std::string* out, BlockHandle handle) {
  put_fixed64(out, handle.offset);
  put_fixed64(out, handle.size);
}

bool get_fixed_handle(std::string_view* in, BlockHandle* handle) {
  return get_fixed64(in, &handle->offset) && get_fixed64(in, &handle->size);
}

uint64_t footer_seed(const Identity& identity, uint64_t offset) {
  return place_seed(identity, offset, static_cast<uint8_t>(BlockKind::kFooter));
}

}  // namespace

std::string TableFooter::encode(uint64_t offset) const {
  std::string out;
  put_fixed_handle(&out, top_index);
  put_fixed_handle(&out, range_block);
  put_fixed_handle(&out, properties);
  put_fixed64(&out, number);
  put_fixed64(&out, identity.high);
  put_fixed64(&out, identity.low);
  put_fixed64(&out, checksum(out, footer_seed(identity, offset)));
  size_t tail = out.size();
  put_fixed32(&out, kTableVersion);
  put_fixed32(&out, kTableFooterSize);
  put_fixed64(&out, checksum(std::string_view(out).substr(tail), kTableMagic));
  put_fixed64(&out, kTableMagic);
  return out;
}

Status TableFooter::decode(std::string_view bytes, uint64_t file_size) {
  if (bytes.size() != kTableFooterSize || file_size < kTableFooterSize) {
    return Status::corruption("too short for a table ({} bytes)", file_size);
  }
  std::string_view tail = bytes.substr(kTableFooterSize - kTableTailSize);
  std::string_view tail_fields = tail.substr(0, 8);
  uint32_t version = 0, footer_size = 0;
  uint64_t tail_checksum = 0, magic = 0;
  (void)(get_fixed32(&tail, &version) && get_fixed32(&tail, &footer_size) &&
         get_fixed64(&tail, &tail_checksum) && get_fixed64(&tail, &magic));
  if (magic != kTableMagic) return Status::corruption("not a varve table, or cut short (bad magic)");
  if (tail_checksum != checksum(tail_fields, kTableMagic)) return Status::corruption("footer: bad checksum");
  if (version > kTableVersion) {
    return Status::unsupported("table format version {} is newer than this build's {}", version,
                               kTableVersion);
  }
  if (version != kTableVersion || footer_size != kTableFooterSize) {
    return Status::corruption("footer: impossible version {} or size {}", version, footer_size);
  }
  std::string_view in = bytes;
  uint64_t stored = 0;
  (void)(get_fixed_handle(&in, &top_index) && get_fixed_handle(&in, &range_block) &&
         get_fixed_handle(&in, &properties) && get_fixed64(&in, &number) &&
         get_fixed64(&in, &identity.high) && get_fixed64(&in, &identity.low) && get_fixed64(&in, &stored));
  size_t covered = kTableFooterSize - kTableTailSize - 8;
  if (stored != checksum(bytes.substr(0, covered), footer_seed(identity, file_size - kTableFooterSize))) {
    return Status::corruption("footer: bad checksum");
  }
  uint64_t blocks_end = file_size - kTableFooterSize;
  for (const BlockHandle& handle : {top_index, range_block}) {
    if (handle != BlockHandle{} && !handle_fits(handle, blocks_end))
      return Status::corruption("footer: bad handle");
  }
  if (!handle_fits(properties, blocks_end)) return Status::corruption("footer: bad handle");
  return Status();
}

std::string shortest_separator(std::string_view last, std::string_view next) {
  size_t common = static_cast<size_t>(
      std::mismatch(last.begin(), last.end(), next.begin(), next.end()).first - last.begin());
  if (common == next.size()) return std::string(last);  // equal: the versions of one key go on
  // One byte past the common part of `next` is above `last`; it is below `next` only as a proper prefix.
  if (next.size() > common + 1) return std::string(next.substr(0, common + 1));
  auto byte = [](char c) { return static_cast<unsigned char>(c); };
  if (last.size() > common + 1 && byte(last[common]) + 1 < byte(next[common])) {
    std::string raised(last.substr(0, common + 1));
    ++raised.back();
    return raised;
  }
  return std::string(last);
}

}  // namespace varve
