#include "runtime/parallel.h"

#include <cstdlib>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/processors.h"

namespace pal {

int thread_count() { return omp_get_max_threads(); }

int active_threads() { return std::min(thread_count(), threads_beside_others()); }

void set_thread_count(int threads) {
  expect(threads >= 0, "threads: expected at least 1, got {}", threads);
  const int usable = usable_processors();
  if (threads == 0) {
    if (std::getenv("OMP_NUM_THREADS") != nullptr) return;
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
  omp_set_num_threads(threads);
}

}  // namespace pal
