// hyperloglog.h: HyperLogLogs as Redis keeps them: ordinary strings of a format of their own, so that GET and
// SET move them between servers. 16384 registers, each of which has seen the longest run of zeros among the
// hashes that fell to it.
//
//   value    := "HYLL" encoding:u8 0 0 0 cardinality:u64 registers       cardinality is little-endian;
//                                                                        its highest bit: not computed yet
//   encoding 0, dense: 6 bits a register, from the lowest bit of the first byte on: 12304 bytes in all
//   encoding 1, sparse: runs of registers
//     00nnnnnn           n + 1 (to 64) of value 0
//     01nnnnnn nnnnnnnn  n + 1 (to 16384) of value 0
//     1vvvvvnn           n + 1 (to 4) of value v + 1 (to 32)
//
// What grows beyond hll-sparse-max-bytes, or holds a larger value, becomes dense. Which runs a sparse one is
// made of depends on how it came to be; here they come to be as in Redis.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace varve {

class HyperLogLog {
 public:
  static constexpr size_t kRegisters = 16384;
  using Registers = std::array<uint8_t, kRegisters>;

  // True for what begins like one. A sparse one may still turn out damaged: calls below tell.
  static bool is_one(std::string_view value);
  static std::string empty_value();

  // `value` is one.
  HyperLogLog(std::string value, size_t sparse_max) : value_(std::move(value)), sparse_max_(sparse_max) {}
  const std::string& value() const { return value_; }
  bool dense() const { return value_[4] == 0; }

  enum class Added : uint8_t { kNo, kYes, kDamaged };
  // Counts an element; kYes: a register has changed. The cardinality is not forgotten by this.
  Added add(std::string_view element);
  // A dense one that this element would not change.
  bool surely_knows(std::string_view element) const;
  // The part of a dense one that an element may change: its register, in one byte or two. For those who have
  // not all of it at hand.
  struct Spot {
    size_t at = 0;    // of the first byte, in the value
    size_t size = 0;  // 1 or 2
    unsigned shift = 0;
    uint8_t count = 0;
    // False: the register in these bytes knows the element already.
    bool raise(char* bytes) const;
  };
  static Spot dense_spot(std::string_view element);
  static constexpr size_t kHeaderSize = 16;
  // Is a value of this length that begins so a dense one whose cardinality is not known?
  static bool is_dense_and_uncounted(std::string_view header, uint64_t length);
  // Raises registers to what others have seen.
  void raise(const Registers& registers);
  // False: it is damaged.
  bool make_dense();
  bool merge_into(Registers* registers) const;

  // The cardinality that was computed before; false when there is none since a change.
  bool known_cardinality(uint64_t* cardinality) const;
  void forget_cardinality();
  void set_cardinality(uint64_t cardinality);
  // False: it is damaged.
  bool estimate(uint64_t* cardinality) const;
  static uint64_t estimate(const Registers& registers);

  // The runs of a sparse one in words: "Z:16383 v:1,1".
  std::string describe_runs() const;
  uint8_t dense_register(size_t index) const;

 private:
  struct Run;
  struct Place;
  struct Seen;
  static Spot spot_of(const Seen& seen);
  Run run_at(size_t at) const;
  bool raise_register(size_t index, uint8_t count);
  Added raise_sparse(size_t index, uint8_t count, Place* from);
  bool raise_dense(size_t index, uint8_t count);
  void join_runs(size_t at);
  template <class Visit>
  bool each_run(Visit visit) const;

  std::string value_;
  size_t sparse_max_;
};

}  // namespace varve
