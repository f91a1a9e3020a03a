#include "experiments/datasets/corrupt_sheet.h"

#include <algorithm>

namespace pal {

PictureSheet corruption_sheet(const Image& clean, const std::string& key,
                              const std::vector<Corruption>& corruptions,
                              const std::vector<int>& severities, const CorruptionOptions& how) {
  PictureSheet sheet;
  sheet.scale = sheet_scale(std::max(clean.width, clean.height));
  sheet.apart = {1};
  for (const Corruption corruption : corruptions) {
    SheetRow row;
    row.title = name_of(corruption);
    std::ranges::replace(row.title, '_', ' ');
    if (corruption == Corruption::frost && !how.frost_pictures) row.title += " (procedural)";
    row.pictures.push_back(clean);
    for (const int severity : severities)
      row.pictures.push_back(corrupted(clean, corruption, severity, how, key));
    sheet.rows.push_back(std::move(row));
  }
  sheet.rows.front().captions.emplace_back("clean");
  for (const int severity : severities)
    sheet.rows.front().captions.push_back("severity " + std::to_string(severity));
  return sheet;
}

}  // namespace pal
