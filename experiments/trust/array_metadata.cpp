#include "experiments/trust/array_metadata.h"

#include "runtime/json.h"

namespace pal {

std::map<std::string, std::string> array_metadata(const std::string& kind,
                                                  const std::string& model_digest,
                                                  const std::string& data,
                                                  const std::vector<ArrayField>& fields) {
  nlohmann::ordered_json arrays = nlohmann::ordered_json::object();
  for (const ArrayField& field : fields)
    arrays[field.name] = {{"shape", field.shape}, {"unit", field.unit}, {"what", field.what}};
  return {{"format", "palindrome-" + kind},
          {"format_version", "1"},
          {"kind", kind},
          {"model", model_digest},
          {"data", data},
          {"arrays", json_text(arrays, -1, BadUtf8::replaced)}};
}

}  // namespace pal
