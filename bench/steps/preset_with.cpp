#include "bench/steps/preset_with.h"

#include "experiments/command_line/program.h"
#include "runtime/error.h"

namespace pal::bench {

ModelConfig preset_with(const std::string& arch, const std::vector<std::string>& fields,
                        const std::string& where) {
  ModelConfig config = preset(arch);
  for (const std::string& field : fields) {
    const size_t equals = field.find('=');
    expect(equals != std::string::npos, "{}: expected KEY=VALUE, got '{}'", where, field);
    const std::string key = field.substr(0, equals);
    expect(set_field(config, key, field.substr(equals + 1), where),
           "{}: unknown field '{}'; the nearest is '{}'", where, key,
           nearest_name(key, field_names()));
  }
  return config;
}

}  // namespace pal::bench
