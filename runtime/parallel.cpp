#include "runtime/parallel.h"

#include <cstdlib>
#include <latch>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/processors.h"

namespace pal {
namespace {

/// How many threads the system lets this process run at once, up to `wanted`: tried, as OpenMP ends
/// the process where it gets fewer than it asks for.
int startable_threads(int wanted) {
  std::latch all_tried(1);
  std::vector<std::thread> others;
  others.reserve(static_cast<size_t>(wanted));
  try {
    while (static_cast<int>(others.size()) + 1 < wanted)
      others.emplace_back([&all_tried] { all_tried.wait(); });
  } catch (const std::system_error&) {
    // Those that did start are as many as there may be.
  }
  all_tried.count_down();
  for (std::thread& other : others) other.join();
  return static_cast<int>(others.size()) + 1;
}

/// Sets the number of threads of loops to one that can be started.
void set_startable(int wanted) {
  const int threads = startable_threads(wanted);
  if (threads < wanted)
    log_warning("threads: the system lets this process start {} of {} (ulimit -u, ulimit -v)",
                threads, wanted);
  omp_set_num_threads(threads);
}

}  // namespace

int thread_count() { return omp_get_max_threads(); }

int active_threads() { return std::min(thread_count(), threads_beside_others()); }

void set_thread_count(int threads) {
  expect(threads >= 0, "threads: expected at least 1, got {}", threads);
  const int usable = usable_processors();
  if (threads == 0) {
    if (std::getenv("OMP_NUM_THREADS") != nullptr) return set_startable(omp_get_max_threads());
    threads = usable;
  }
  const int most = 4 * omp_get_num_procs();
  if (threads > most) {
    log_warning("threads: {} capped at {} (four times the processors)", threads, most);
    threads = most;
  } else if (threads > usable) {
    log_warning(
        "threads: {} on {} processor{} that this process may use: they will wait for each "
        "other; leave --threads out",
        threads, usable, usable == 1 ? "" : "s");
  }
  omp_set_dynamic(0);
  set_startable(threads);
}

}  // namespace pal
