#include "experiments/training/inversion_monitor.h"

#include <algorithm>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr double kWarning = 1e-3;
constexpr double kWarningBf16 = 2e-2;
constexpr double kLimit = 1e-1;

}  // namespace

bool InversionMonitor::watch(int64_t step) {
  const int64_t every = setup_.options.inversion_check_every;
  const auto& inverted = setup_.inverted;
  if (inverted.empty() || every == 0 || step % every != 0) return false;
  const Philox random(setup_.options.seed, RandomPurpose::monitor, static_cast<uint64_t>(step));
  const uint64_t chosen = random.below(0, static_cast<uint64_t>(inverted.size()));
  setup_.flow->chain().monitor_next(inverted[static_cast<size_t>(chosen)]);
  return true;
}

void InversionMonitor::record(const InversionCheck& check) {
  if (check.block < 0) return;
  last_ = check;
  worst_ = std::max(worst_, check.relative_error);
}

void InversionMonitor::judge(int64_t step) const {
  const TrainOptions& options = setup_.options;
  const InversionCheck& check = last_;
  if (!(check.relative_error < kLimit) && options.on_inversion_error == OnInversionError::stop)
    fail(ErrorKind::numerics,
         "{} is rebuilt with a relative error of {:.2g}, more than {}: a run that diverges, or a "
         "network that needs --stream-anchors",
         check.name, check.relative_error, kLimit);
  if (check.relative_error > (setup_.computes_bf16() ? kWarningBf16 : kWarning))
    log_warning("step {}: {} is rebuilt with a relative error of {:.2g}", step, check.name,
                check.relative_error);
}

}  // namespace pal
