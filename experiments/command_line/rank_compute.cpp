#include "experiments/command_line/rank_compute.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "runtime/communicator/nccl_communicator.h"
#include "runtime/communicator/nccl_library.h"
#include "runtime/communicator/staged_communicator.h"
#include "runtime/error.h"
#include "runtime/gpu_identity.h"
#include "runtime/log.h"
#include "runtime/processors.h"

namespace pal {
namespace {

/// The machine and the processors of this process, as a text that ranks compare.
std::string place_of(const Member& self) {
  std::string text = self.host + ":";
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return text;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &set)) text += std::to_string(i) + ",";
  return text;
}

/// Those that have the same of something.
struct Sharers {
  int place = 0;  ///< this rank's among them
  int count = 1;
};

/// The ranks whose text is the same.
Sharers sharers_of(const std::string& mine, Ranks& ranks) {
  const std::vector<std::string> all = all_gather_texts(ranks.host(), mine);
  return {static_cast<int>(std::count(all.begin(), all.begin() + ranks.rank(), mine)),
          static_cast<int>(std::ranges::count(all, mine))};
}

void choose_threads(ComputeOptions& compute, Ranks& ranks) {
  const int usable = usable_processors();
  const int share = std::max(1, usable / sharers_of(place_of(ranks.self()), ranks).count);
  const char* const asked = std::getenv("OMP_NUM_THREADS");
  // torchrun itself sets it to 1, which nobody asked for.
  const bool by_torchrun = ranks.environment().launcher == "torchrun" && asked != nullptr &&
                           std::string_view(asked) == "1";
  if (compute.threads == 0 && (asked == nullptr || by_torchrun)) compute.threads = share;
  const auto online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  log_info("rank {} of {} ({}): {} processor{} of {} on {}", ranks.rank(), ranks.size(),
           ranks.environment().launcher, share, share == 1 ? "" : "s", online, ranks.self().host);
  const int due = online / ranks.self().local_size;
  const std::string& launcher = ranks.environment().launcher;
  if (usable == 1 && due > 1 && (launcher == "mpirun" || launcher == "srun"))
    log_warning(
        "{} bound this rank to one of {} processors, so it has one thread: start it with {}",
        launcher, online,
        launcher == "mpirun" ? "--bind-to none" : fmt::format("--cpus-per-task {}", due));
}

}  // namespace

void place_rank(ComputeOptions& compute, CommKind comm, Ranks& ranks) {
  if (ranks.alone()) return;
  choose_threads(compute, ranks);
  const bool wanted = compute.device == "cuda" || compute.device == "auto";
  const std::vector<std::string> found = wanted ? gpu_identities() : std::vector<std::string>();
  const auto gpus = static_cast<int>(found.size());
  // A launcher may show each rank of a machine a GPU of its own, or all of them to each.
  std::string mine;
  for (const std::string& gpu : found) mine += gpu + ",";
  const Sharers sharers = sharers_of(mine, ranks);
  if (gpus == 0) return;
  expect(sharers.count <= gpus || comm == CommKind::cpu,
         "--device: {} ranks on {}, which has {} GPU{}: start one for each, or let them share by "
         "--comm cpu (slow)",
         sharers.count, ranks.self().host, gpus, gpus == 1 ? "" : "s");
  const bool all_alike = sharers.count == ranks.self().local_size;
  compute.device =
      fmt::format("cuda:{}", (all_alike ? ranks.self().local_rank : sharers.place) % gpus);
}

std::unique_ptr<Communicator> device_communicator(Ranks& ranks, CommKind comm, Device device) {
  if (ranks.alone()) return nullptr;
  if (device.is_cpu()) {
    expect(comm != CommKind::nccl, "--comm: nccl is for GPUs; use auto or cpu");
    return nullptr;
  }
  if (comm == CommKind::cpu) return std::make_unique<StagedCommunicator>(ranks.host());
  log_info("gradients travel by NCCL {}", nccl_version());
  NcclOptions options;
  options.check_peers = [&ranks] { ranks.check(); };
  return std::make_unique<NcclCommunicator>(ranks.host(), options);
}

}  // namespace pal
