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
#include "runtime/cuda.h"
#include "runtime/error.h"
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

/// How many ranks have the same processors as this one.
int ranks_beside(Ranks& ranks) {
  const std::string mine = place_of(ranks.self());
  return static_cast<int>(std::ranges::count(all_gather_texts(ranks.host(), mine), mine));
}

void choose_threads(ComputeOptions& compute, Ranks& ranks) {
  const int usable = usable_processors();
  const int share = std::max(1, usable / ranks_beside(ranks));
  const char* const asked = std::getenv("OMP_NUM_THREADS");
  // torchrun itself sets it to 1, which nobody asked for.
  const bool by_torchrun = ranks.environment().launcher == "torchrun" && asked != nullptr &&
                           std::string_view(asked) == "1";
  if (compute.threads == 0 && (asked == nullptr || by_torchrun)) compute.threads = share;
  const auto online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  log_info("rank {} of {} ({}): {} processor{} of {} on {}", ranks.rank(), ranks.size(),
           ranks.environment().launcher, share, share == 1 ? "" : "s", online, ranks.self().host);
  if (usable == 1 && online / ranks.self().local_size > 1 &&
      ranks.environment().launcher == "mpirun")
    log_warning(
        "mpirun bound this rank to one of {} processors, so it has one thread: start it with "
        "--bind-to none",
        online);
}

}  // namespace

void place_rank(ComputeOptions& compute, CommKind comm, Ranks& ranks) {
  if (ranks.alone()) return;
  choose_threads(compute, ranks);
  const int gpus = cuda::device_count();
  const bool open = compute.device == "cuda" || (compute.device == "auto" && gpus > 0);
  if (!open) return;
  expect(ranks.self().local_size <= gpus || comm == CommKind::cpu || gpus == 0,
         "--device: {} ranks on {}, which has {} GPU{}: start one for each, or let them share by "
         "--comm cpu (slow)",
         ranks.self().local_size, ranks.self().host, gpus, gpus == 1 ? "" : "s");
  compute.device = fmt::format("cuda:{}", gpus > 0 ? ranks.self().local_rank % gpus : 0);
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
