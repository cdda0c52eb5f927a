// sim_generator.h: draws the actions of a seed: which client sends what, which bytes arrive, which jobs run,
// when something fails and when the process dies.
#pragma once

#include "prove/sim_world.h"

namespace varve::prove {

class Generator {
 public:
  // `world` is the one the actions are meant for.
  Generator(uint64_t seed, World& world);
  Action next();

 private:
  Action any();
  Action send(uint32_t client);
  const CommandRow& row();
  Arguments transaction();
  uint64_t bytes();
  void plan_life();

  Random random_;
  World& world_;
  Draw draw_;
  uint64_t total_weight_ = 0;
  uint64_t left_ = 0;  // actions of this life
  uint64_t sending_ = 0;
  uint32_t sender_ = 0;
  bool large_sent_ = false;  // just now
  // Of this life, drawn: in so many hundredths of all actions.
  uint64_t send_percent_ = 0, turn_percent_ = 0, job_percent_ = 0, whole_percent_ = 0;
};

}  // namespace varve::prove
