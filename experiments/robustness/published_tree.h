#pragma once
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"

namespace pal {

/// The folder of a corruption's severity in a tree [GROUP/]CORRUPTION/SEVERITY/, by either of the
/// corruption's names. Throws data, naming what is missing and what lies there instead, if there is
/// none, or several groups have it.
std::string tree_folder(const std::string& tree, Corruption corruption, int severity);

/// The folders of all of these. Throws as tree_folder, so that nothing is measured of a tree that
/// lacks some.
std::vector<std::string> tree_folders(const std::string& tree,
                                      const std::vector<Corruption>& corruptions,
                                      const std::vector<int>& severities);

}  // namespace pal
