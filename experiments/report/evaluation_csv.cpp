#include "experiments/report/evaluation_csv.h"

#include <fmt/format.h>

#include <iterator>

namespace pal {
namespace {

/// A text as one field of a CSV line (RFC 4180).
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string to_csv(const EvaluationResult& result, const Dataset& set) {
  std::string text =
      "index,name,label,predicted,rank,confidence,entropy,ce,loss_y,loss_x,loss_class,"
      "log_density\n";
  for (const ImageResult& r : result.images) {
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{},{},{},{},", r.index,
                   csv_field(set.item_name(r.index)), r.label, r.predicted, r.rank, r.confidence,
                   r.entropy, r.cross_entropy, r.loss_y);
    if (result.has_density)
      fmt::format_to(std::back_inserter(text), "{},{},{}\n", r.loss_x, r.loss_class, r.log_density);
    else
      text += ",,\n";
  }
  return text;
}

}  // namespace pal
