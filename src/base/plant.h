// plant.h: defects put in on purpose, to see that the proof finds them (scripts/dev prove plant). Each is one
// that some store really had, or the kind a tired person writes.
//
// They exist only in a build with -Dplants=true, and there only the one that the environment's VARVE_PLANT
// names; in every other build planted() is a constant false and what it guards is not compiled in. A tool of
// the proof that does not find a defect at its ordinary settings is what is wrong, then:
// tests/prove/plants.toml says which tool must find which.
#pragma once

#include <cstdint>

namespace varve {

// clang-format off
#define VARVE_PLANTS_LIST(X) \
  X(skip_log_sync) X(acknowledge_early) X(ignore_failed_sync) X(retry_failed_sync) X(ignore_failed_log_write) \
  X(tell_no_durable_sequence) X(parts_as_batches) X(retire_log_early) X(segment_without_dir_sync) \
  X(segment_keeps_identity) X(cut_at_first_bad_frame) X(drop_last_of_group) X(replay_unfinished_parts) \
  X(apply_half_batch) X(reuse_file_number) X(manifest_not_synced) \
  X(replace_without_dir_sync) X(tables_without_dir_sync) X(table_not_synced) X(delete_inputs_early) \
  X(drop_tombstone_too_high) X(filter_forgets_keys) X(block_unchecked) X(checksum_without_place) \
  X(cache_key_without_file) X(failed_read_is_absent) X(frozen_unread) X(lose_count_corrections) \
  X(reads_pass_the_gate) X(gate_off_by_one) X(expired_is_served) X(trust_length) X(forget_output) \
  X(forget_auth) X(leak_socket) X(exec_in_two) X(list_head_unsaved) X(rank_uncounted) \
  X(old_score_stays) X(hollow_key_stays) X(served_ungated) X(one_key_wakes) X(row_outlives_write)
// clang-format on

enum class Plant : uint8_t {
  none,
#define VARVE_PLANT_ENUM(name) name,
  VARVE_PLANTS_LIST(VARVE_PLANT_ENUM)
#undef VARVE_PLANT_ENUM
};

#ifdef VARVE_PLANTS
// Any thread.
bool planted(Plant defect);
#else
constexpr bool planted(Plant) {
  return false;
}
#endif

}  // namespace varve
