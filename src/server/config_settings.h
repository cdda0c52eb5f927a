// config_settings.h: the registry: one entry a setting. Everything that touches a setting by its name goes
// through it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config.h"

namespace varve {

struct Setting {
  std::string name;
  std::string alias;        // Redis's older name of it; empty: none
  bool changeable = false;  // by CONFIG SET, while the server runs
  bool many_words = false;  // CONFIG SET's one value is cut into words, as a line of the file is
  std::string allowed;      // for people: "an integer from 0 to 65535"
  // Redis's text when the words are no value of this setting.
  std::function<Status(Config&, const std::vector<std::string>& words)> parse;
  std::function<std::string(const Config&)> get;  // as CONFIG GET shows it
  // As a line of the file holds it (sizes with units); empty: as `get`.
  std::function<std::string(const Config&)> line;

  std::string file_line(const Config& config) const;
};

// Sorted by name.
const std::vector<Setting>& all_settings();
// By name or alias. Case does not matter; null for an unknown name.
const Setting* find_setting(std::string_view name);
// The known name nearest to a misspelt one; empty if none is near.
std::string similar_setting(std::string_view name);

}  // namespace varve
