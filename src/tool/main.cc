// varve-tool: dump, check, salvage.
#include <cstdio>
#include <string>
#include <string_view>

#include "base/log.h"
#include "tool/tool.h"

int main(int argc, char** argv) {
  auto print_to = [](std::FILE* file) {
    return [file](std::string_view line) {
      std::fwrite(line.data(), 1, line.size(), file);
      std::fputc('\n', file);
    };
  };
  varve::set_log_level(varve::LogLevel::kWarning);
  return varve::tool::run_tool(varve::posix_file_system(), {argv + 1, argv + argc}, print_to(stdout),
                               print_to(stderr));
}
