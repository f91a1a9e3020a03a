#pragma once
#include <functional>
#include <string>

#include "experiments/command_line/rank_compute.h"
#include "experiments/command_line/run_options.h"
#include "runtime/communicator/ranks.h"

namespace pal {

/// How the process of a program joins the run that a launcher started it for: as `environment`
/// says, found by a file beside `output` where that gives no address.
RankSpec rank_spec(const std::string& program, const RankEnvironment& environment,
                   const std::string& output);

/// The body of a program whose work several ranks can share: joins them, gives this one its part of
/// the machine and returns body(their communicator for tensors on the CPU; null: this process
/// alone). Ranks after the first are quiet.
int run_shared(const std::string& program, const std::string& output, RunOptions& options,
               const std::function<int(Communicator* ranks)>& body);

}  // namespace pal
