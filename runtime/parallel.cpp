#include "runtime/parallel.h"

#include "runtime/error.h"
#include "runtime/log.h"

namespace pal {

int thread_count() { return omp_get_max_threads(); }

void set_thread_count(int threads) {
  expect(threads >= 1, "threads: expected at least 1, got {}", threads);
  const int most = 4 * omp_get_num_procs();
  if (threads > most) {
    log_warning("threads: {} capped at {} (four times the processors)", threads, most);
    threads = most;
  }
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
}

}  // namespace pal
