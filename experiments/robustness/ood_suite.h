#pragma once
#include <string>
#include <vector>

namespace pal {

/// A foreign set, as pal-evaluate --ood names it.
struct SuiteSet {
  std::string name;
  std::string group;  ///< "near", "far" or "covariate-shifted"; empty: none
};

/// The groups, in the order of tables.
std::vector<std::string> suite_groups();

/// Reads a suite: sections [near], [far] and [covariate-shifted], each with `sets`, a list of texts.
/// What lies beside the file is meant before what lies in the working folder. Throws usage as
/// `FILE:LINE: ...` for anything else.
std::vector<SuiteSet> read_suite(const std::string& path);

}  // namespace pal
