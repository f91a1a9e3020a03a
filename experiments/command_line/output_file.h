#pragma once
#include <string>

namespace pal {

/// Refuses a file that cannot be written, as far as can be seen without writing it, before time is
/// spent on what it will hold: a folder, or one whose folder is missing; and one that would cost a
/// model: a checkpoint that is there, or a file that a run folder needs. An empty path is none.
/// Throws usage or environment naming `flag`.
void check_output_file(const std::string& flag, const std::string& path);

/// The same for a file that will be a model without a training's state, which may take the place of
/// another one: only a checkpoint of a run, or one that a training can be resumed from, would be lost.
void check_output_model(const std::string& flag, const std::string& path);

}  // namespace pal
