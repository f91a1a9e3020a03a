#pragma once
#include <string>

#include "experiments/pages/report_options.h"

namespace pal {

/// A page about runs, and the model card of a single one.
struct ReportPage {
  std::string html;
  std::string card;  ///< Markdown; empty: none is wanted
};

/// Reads the runs back, evaluates a single one, and writes the page. Throws data for what is no
/// run, usage for images that are not to be had.
ReportPage make_report(const ReportOptions& options, Device device);

}  // namespace pal
