#include "lsm/manifest_record.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/check.h"
#include "base/checksum.h"
#include "base/coding.h"

namespace varve {
namespace {

// Kinds of place (checksum.h) in a manifest and CURRENT. On disk.
constexpr uint8_t kHeaderPlace = 1;
constexpr uint8_t kRecordHeaderPlace = 2;
constexpr uint8_t kRecordPlace = 3;
constexpr uint8_t kCurrentPlace = 4;

constexpr std::string_view kCurrentMagic = "varve";

// The checksum's place in a header block: its last 8 bytes, so that it does not depend on what a format puts
// before.
constexpr size_t kHeaderChecksumOffset = kManifestHeaderSize - 8;

uint64_t header_checksum(std::string_view block, const Identity& file) {
  return checksum(block.substr(0, kHeaderChecksumOffset), place_seed(file, 0, kHeaderPlace));
}

uint32_t record_header_check(const char* record, const Identity& file, uint64_t offset) {
  std::string_view covered(record + 12, kRecordHeaderSize - 12);
  return static_cast<uint32_t>(checksum(covered, place_seed(file, offset, kRecordHeaderPlace)));
}

uint64_t record_checksum(std::string_view record, const Identity& file, uint64_t offset) {
  return checksum(record.substr(8), place_seed(file, offset, kRecordPlace));
}

std::string current_checksum(std::string_view text) {
  return fmt::format("{:016x}", checksum(text, place_seed(Identity(), 0, kCurrentPlace)));
}

uint64_t padded_size(uint64_t size) {
  return (size + kManifestBlockSize - 1) / kManifestBlockSize * kManifestBlockSize;
}

bool parse_hex64(std::string_view text, uint64_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, 16);
  return text.size() == 16 && error == std::errc() && end == text.data() + text.size();
}

bool parse_identity(std::string_view text, Identity* out) {
  return text.size() == 32 && parse_hex64(text.substr(0, 16), &out->high) &&
         parse_hex64(text.substr(16), &out->low);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

std::string encode_manifest_header(const ManifestHeader& header) {
  std::string block;
  put_fixed64(&block, kManifestMagic);
  put_fixed32(&block, kManifestFormat);
  put_fixed64(&block, header.directory.high);
  put_fixed64(&block, header.directory.low);
  put_fixed64(&block, header.file.high);
  put_fixed64(&block, header.file.low);
  put_fixed64(&block, header.number);
  VARVE_CHECK(header.application.size() <= kMaxApplicationSize);
  put_length_prefixed(&block, header.application);
  block.resize(kHeaderChecksumOffset);
  put_fixed64(&block, header_checksum(block, header.file));
  return block;
}

Status decode_manifest_header(std::string_view bytes, const std::string& name, ManifestHeader* out) {
  if (bytes.size() < kManifestHeaderSize) {
    return Status::corruption("{}: {}: ends inside the manifest's header", name, bytes.size());
  }
  std::string_view block = bytes.substr(0, kManifestHeaderSize);
  std::string_view in = block;
  uint64_t magic = 0;
  uint32_t format = 0;
  bool read = get_fixed64(&in, &magic) && get_fixed32(&in, &format) &&
              get_fixed64(&in, &out->directory.high) && get_fixed64(&in, &out->directory.low) &&
              get_fixed64(&in, &out->file.high) && get_fixed64(&in, &out->file.low) &&
              get_fixed64(&in, &out->number);
  if (!read || magic != kManifestMagic ||
      decode_fixed64(block.data() + kHeaderChecksumOffset) != header_checksum(block, out->file)) {
    return Status::corruption("{}: 0: bad header of a manifest", name);
  }
  if (format > kManifestFormat) {
    return Status::unsupported("{}: manifest format {} is newer than {}, the newest this version knows", name,
                               format, kManifestFormat);
  }
  std::string_view application;
  if (format != kManifestFormat || !get_length_prefixed(&in, &application) ||
      application.size() > kMaxApplicationSize) {
    return Status::corruption("{}: 0: header of a manifest makes no sense", name);
  }
  out->application = application;
  return {};
}

void append_record(std::string* out, uint32_t kind, uint64_t edit_number, std::string_view payload,
                   const Identity& file, uint64_t offset) {
  const size_t begin = out->size();
  out->append(kRecordHeaderSize, '\0');
  char* header = out->data() + begin;
  encode_fixed32(header + 12, kind);
  encode_fixed64(header + 16, edit_number);
  encode_fixed64(header + 24, payload.size());
  encode_fixed32(header + 8, record_header_check(header, file, offset));
  out->append(payload);
  header = out->data() + begin;
  encode_fixed64(header, record_checksum(std::string_view(*out).substr(begin), file, offset));
  // The next record starts in a block of its own: writing it must not touch a block that holds durable bytes.
  out->resize(begin + static_cast<size_t>(padded_size(out->size() - begin)), '\0');
}

bool read_record(std::string_view manifest, uint64_t offset, const Identity& file, ManifestRecord* out) {
  if (offset > manifest.size() || manifest.size() - offset < kRecordHeaderSize) return false;
  std::string_view rest = manifest.substr(static_cast<size_t>(offset));
  out->kind = decode_fixed32(rest.data() + 12);
  if (out->kind < kEditRecord || out->kind > kClosingRecord) return false;
  if (decode_fixed32(rest.data() + 8) != record_header_check(rest.data(), file, offset)) return false;
  out->edit_number = decode_fixed64(rest.data() + 16);
  const uint64_t size = decode_fixed64(rest.data() + 24);
  out->valid = false;
  out->payload = {};
  if (size > rest.size() - kRecordHeaderSize) {
    out->end = manifest.size();
    return true;
  }
  rest = rest.substr(0, kRecordHeaderSize + static_cast<size_t>(size));
  out->end = std::min<uint64_t>(offset + padded_size(rest.size()), manifest.size());
  out->valid = decode_fixed64(rest.data()) == record_checksum(rest, file, offset);
  if (out->valid) out->payload = rest.substr(kRecordHeaderSize);
  return true;
}

std::string encode_closing(Sequence last) {
  std::string payload;
  put_fixed64(&payload, last);
  return payload;
}

bool decode_closing(std::string_view payload, Sequence* last) {
  return get_fixed64(&payload, last) && payload.empty();
}

std::string encode_current(const CurrentFile& current) {
  std::string text = fmt::format("{}\n{}\n{}\n{}\n", kCurrentMagic, kManifestFormat,
                                 current.directory.to_string(), current.manifest);
  return text + current_checksum(text) + "\n";
}

Status decode_current(std::string_view bytes, CurrentFile* out) {
  std::vector<std::string_view> lines = lines_of(bytes);
  bool looks_like_ours = bytes.find("\nMANIFEST-") != std::string_view::npos || bytes.starts_with("varv") ||
                         std::string_view("varve\n").starts_with(bytes);
  if (!looks_like_ours) {
    return Status::invalid_argument(
        "CURRENT: was not written by varve: this is another program's data directory");
  }
  const Status damaged = Status::corruption("CURRENT: 0: damaged");
  if (lines.size() < 3 || bytes.back() != '\n' || lines[0] != kCurrentMagic) return damaged;
  std::string_view covered = bytes.substr(0, bytes.size() - lines.back().size() - 1);
  if (lines.back() != current_checksum(covered)) return damaged;
  uint32_t format = 0;
  auto [end, error] = std::from_chars(lines[1].data(), lines[1].data() + lines[1].size(), format);
  if (error != std::errc() || end != lines[1].data() + lines[1].size()) return damaged;
  if (format > kManifestFormat) {
    return Status::unsupported("CURRENT: format {} is newer than {}, the newest this version knows", format,
                               kManifestFormat);
  }
  if (format != kManifestFormat || lines.size() != 5 || !parse_identity(lines[2], &out->directory))
    return damaged;
  out->manifest = lines[3];
  return {};
}

}  // namespace varve
