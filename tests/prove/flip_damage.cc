#include "prove/flip_damage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/check.h"

namespace varve::prove {
namespace {

class Draw {
 public:
  Draw(const Image& image, Random* random) : image_(image), random_(*random) {}

  Damage run() {
    while (true) {
      damage_ = Damage();
      damage_.files = image_.files;
      if (try_one() && !damage_.names.empty()) return std::move(damage_);
    }
  }

 private:
  // Flips are what the world has most of, and what is counted; all others together are as many.
  bool try_one() {
    if (random_.one_in(2)) return flip();
    switch (random_.below(15)) {
      case 0:
        return byte();
      case 1:
        return block("zero");
      case 2:
        return block("garble");
      case 3:
      case 4:
        return truncate();
      case 5:
        return extend();
      case 6:
        return swap();
      case 7:
        return misdirect();
      case 8:
        return cross();
      case 9:
        return replay_block();
      case 10:
        return replay_file();
      case 11:
        return remove();
      case 12:
        return duplicate();
      case 13:
        return random_.one_in(2) ? replace() : exchange();
      default:
        return add_foreign();
    }
  }

  // --- choosing ---

  const std::string& content(const std::string& name) const { return *damage_.files.at(name); }

  // Each type is as likely as the others, however many files it has.
  std::optional<std::string> pick_file(const std::string& wanted = {}, bool may_be_empty = false) {
    std::map<std::string, std::vector<std::string>> by_type;
    for (const auto& [name, bytes] : damage_.files) {
      if (wanted.empty() ? file_type(name) != "lock" || random_.one_in(8) : file_type(name) == wanted) {
        if (may_be_empty || !bytes->empty()) by_type[file_type(name)].push_back(name);
      }
    }
    if (by_type.empty()) return std::nullopt;
    auto it = std::next(by_type.begin(), static_cast<std::ptrdiff_t>(random_.below(by_type.size())));
    return it->second[random_.below(it->second.size())];
  }

  // An offset: rather where something is written.
  uint64_t pick_offset(const std::string& bytes) {
    uint64_t at = random_.below(bytes.size());
    for (int i = 0; i < 8 && bytes[at] == 0; ++i) at = random_.below(bytes.size());
    return at;
  }

  struct Span {
    uint64_t begin = 0;
    uint64_t size = 0;
  };
  // What a disk writes as a whole: a sector or a page; the last one may be short.
  Span pick_block(const std::string& bytes, uint64_t unit) {
    uint64_t begin = pick_offset(bytes) / unit * unit;
    return {begin, std::min<uint64_t>(unit, bytes.size() - begin)};
  }
  uint64_t pick_unit() { return random_.one_in(2) ? 512 : 4096; }

  // --- changing ---

  void change(const std::string& name, std::string bytes) {
    damage_.files[name] = bytes_of(std::move(bytes));
    auto before = image_.files.find(name);
    bool same = before != image_.files.end() && *before->second == content(name);
    if (!same) damage_.names.push_back(name);
  }
  bool done(const std::string& kind, const std::string& name, std::string what) {
    damage_.kind = kind;
    damage_.type = file_type(name);
    damage_.what = fmt::format("{} {}: {}", kind, name, what);
    return true;
  }

  bool flip() {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    uint64_t at = pick_offset(bytes), bit = random_.below(8);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    change(*name, bytes);
    return done("flip", *name, fmt::format("bit {} of byte {}", bit, at));
  }

  bool byte() {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    uint64_t at = pick_offset(bytes);
    bytes[at] = static_cast<char>(random_.next());
    change(*name, bytes);
    return done("byte", *name, fmt::format("byte {} is {}", at, static_cast<uint8_t>(bytes[at])));
  }

  bool block(const char* kind) {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    Span span = pick_block(bytes, pick_unit());
    for (uint64_t i = 0; i < span.size; ++i)
      bytes[span.begin + i] = kind[0] == 'z' ? '\0' : static_cast<char>(random_.next());
    change(*name, bytes);
    return done(kind, *name, fmt::format("{} bytes at {}", span.size, span.begin));
  }

  bool truncate() {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    uint64_t size = random_.below(bytes.size());
    if (random_.one_in(3)) size = bytes.size() - 1 - random_.below(std::min<uint64_t>(bytes.size(), 200));
    if (random_.one_in(4)) size = size / 512 * 512;
    bytes.resize(size);
    change(*name, bytes);
    return done("truncate", *name, fmt::format("to {} bytes of {}", size, image_.files.at(*name)->size()));
  }

  bool extend() {
    auto name = pick_file({}, true);
    if (!name) return false;
    std::string bytes = content(*name);
    uint64_t n = 1 + random_.below(random_.one_in(2) ? 20 : 9000);
    bool zeros = random_.one_in(2);
    for (uint64_t i = 0; i < n; ++i) bytes += zeros ? '\0' : static_cast<char>(random_.next());
    change(*name, bytes);
    return done("extend", *name, fmt::format("by {} bytes of {}", n, zeros ? "zeros" : "noise"));
  }

  // Two blocks of a file in each other's place.
  bool swap() {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    uint64_t unit = pick_unit();
    Span a = pick_block(bytes, unit), b = pick_block(bytes, unit);
    if (a.begin == b.begin || a.size != b.size) return false;
    std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(a.begin),
                     bytes.begin() + static_cast<std::ptrdiff_t>(a.begin + a.size),
                     bytes.begin() + static_cast<std::ptrdiff_t>(b.begin));
    change(*name, bytes);
    return done("swap", *name, fmt::format("{} bytes at {} and {}", a.size, a.begin, b.begin));
  }

  // A block also in the place of another.
  bool misdirect() {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    uint64_t unit = pick_unit();
    Span from = pick_block(bytes, unit), to = pick_block(bytes, unit);
    if (from.begin == to.begin || from.size < to.size) return false;
    bytes.replace(to.begin, to.size, bytes.substr(from.begin, to.size));
    change(*name, bytes);
    return done("misdirect", *name, fmt::format("{} bytes of {} at {}", to.size, from.begin, to.begin));
  }

  // A block of another file; of this directory or of another one; at its own place or at another.
  bool cross() {
    auto name = pick_file();
    if (!name) return false;
    std::string bytes = content(*name);
    const Files& source = random_.one_in(2) && !image_.foreign.empty() ? image_.foreign : image_.files;
    std::vector<const std::string*> others;
    for (const auto& [other, text] : source) {
      bool itself = &source == &image_.files && other == *name;
      if (!itself && !text->empty() && (file_type(other) == file_type(*name) || random_.one_in(6)))
        others.push_back(text.get());
    }
    if (others.empty()) return false;
    const std::string& other = *others[random_.below(others.size())];
    uint64_t unit = pick_unit();
    Span from = pick_block(other, unit);
    Span to = pick_block(bytes, unit);
    if (random_.one_in(2) && from.begin < bytes.size()) {
      to = {from.begin, std::min<uint64_t>(unit, bytes.size() - from.begin)};
    }
    uint64_t n = std::min(from.size, to.size);
    bytes.replace(to.begin, n, other.substr(from.begin, n));
    change(*name, bytes);
    return done("cross", *name, fmt::format("{} bytes of another file's {} at {}", n, from.begin, to.begin));
  }

  // A lost write: the block as it was before.
  bool replay_block() {
    if (image_.older.empty()) return false;
    const Files& old = image_.older[random_.below(image_.older.size())];
    auto name = pick_file();
    if (!name || !old.contains(*name)) return false;
    std::string bytes = content(*name);
    const std::string& before = *old.at(*name);
    std::vector<uint64_t> places;
    uint64_t unit = pick_unit();
    for (uint64_t at = 0; at + unit <= std::min(bytes.size(), before.size()); at += unit) {
      if (bytes.compare(at, unit, before, at, unit) != 0) places.push_back(at);
    }
    if (places.empty()) return false;
    uint64_t at = places[random_.below(places.size())];
    bytes.replace(at, unit, before, at, unit);
    change(*name, bytes);
    return done("replay", *name, fmt::format("{} bytes at {} as they were before", unit, at));
  }

  bool replay_file() {
    if (image_.older.empty()) return false;
    const Files& old = image_.older[random_.below(image_.older.size())];
    auto name = pick_file();
    if (!name || !old.contains(*name)) return false;
    change(*name, *old.at(*name));
    return done("replay-file", *name, "as it was before");
  }

  bool remove() {
    auto name = pick_file({}, true);
    if (!name) return false;
    damage_.files.erase(*name);
    damage_.names.push_back(*name);
    return done("remove", *name, "");
  }

  std::string free_name(const std::string& type) {
    while (true) {
      uint64_t n = random_.below(random_.one_in(2) ? 60 : 100'000'000);
      std::string name = type == "manifest" ? fmt::format("MANIFEST-{:08}", n)
                         : type == "table"  ? fmt::format("{:08}.sst", n)
                                            : fmt::format("{:08}.log", n);
      if (!damage_.files.contains(name)) return name;
    }
  }

  bool duplicate() {
    auto name = pick_file();
    if (!name) return false;
    std::string type = file_type(*name);
    if (type != "table" && type != "log" && type != "manifest") return false;
    std::string copy = free_name(type);
    change(copy, content(*name));
    return done("duplicate", copy, "a copy of " + *name);
  }

  // A file with another's content.
  bool replace() {
    auto name = pick_file();
    if (!name) return false;
    const Files& source = random_.one_in(2) && !image_.foreign.empty() ? image_.foreign : image_.files;
    std::vector<std::string> others;
    for (const auto& [other, bytes] : source) {
      if (file_type(other) == file_type(*name)) others.push_back(other);
    }
    if (others.empty()) return false;
    const std::string& other = others[random_.below(others.size())];
    change(*name, *source.at(other));
    return done("replace", *name, "with another " + file_type(*name));
  }

  bool exchange() {
    auto a = pick_file();
    if (!a) return false;
    auto b = pick_file(file_type(*a));
    if (!b || *a == *b) return false;
    std::string of_a = content(*a), of_b = content(*b);
    change(*a, of_b);
    change(*b, of_a);
    return done("exchange", *a, "and " + *b);
  }

  bool add_foreign() {
    static const char* const kNames[] = {"CURRENT.tmp", "notes.txt",     ".hidden",
                                         "core",        "00000001.sst~", "x.log",
                                         "a.sst",       "MANIFEST-last", "dump.rdb.tmp"};
    std::string name = kNames[random_.below(std::size(kNames))];
    if (random_.one_in(2)) {
      static const char* const kTypes[] = {"table", "log", "manifest"};
      name = free_name(kTypes[random_.below(3)]);
    }
    std::string bytes;
    if (random_.one_in(2) && !image_.foreign.empty()) {
      auto it = std::next(image_.foreign.begin(),
                          static_cast<std::ptrdiff_t>(random_.below(image_.foreign.size())));
      bytes = *it->second;
    } else {
      for (uint64_t n = random_.below(6000); n > 0; --n) bytes += static_cast<char>(random_.next());
    }
    change(name, bytes);
    done("foreign", name, fmt::format("{} bytes", bytes.size()));
    damage_.type = "foreign";
    return true;
  }

  const Image& image_;
  Random& random_;
  Damage damage_;
};

}  // namespace

Damage draw_damage(const Image& image, Random* random) {
  return Draw(image, random).run();
}

uint64_t simple_damages(const Image& image) {
  uint64_t n = 0;
  for (const auto& [name, bytes] : image.files) n += bytes->size() * 9;  // eight bits and a length a byte
  return n;
}

Damage simple_damage(const Image& image, uint64_t index) {
  Damage damage;
  damage.files = image.files;
  for (const auto& [name, bytes] : image.files) {
    uint64_t here = bytes->size() * 9;
    if (index >= here) {
      index -= here;
      continue;
    }
    uint64_t at = index / 9, what = index % 9;
    std::string changed = *bytes;
    if (what == 8)
      changed.resize(at);
    else
      changed[at] = static_cast<char>(changed[at] ^ (1 << what));
    damage.kind = what == 8 ? "truncate" : "flip";
    damage.type = file_type(name);
    damage.names = {name};
    damage.what = what == 8 ? fmt::format("truncate {}: to {} bytes", name, at)
                            : fmt::format("flip {}: bit {} of byte {}", name, what, at);
    damage.files[name] = bytes_of(std::move(changed));
    return damage;
  }
  VARVE_CHECK(false);
  return damage;
}

}  // namespace varve::prove
