#pragma once
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <vector>

#include "runtime/waiting.h"

namespace pal {

/// Threads that parallel loops and libraries use.
int thread_count();
/// Sets how many threads parallel loops and libraries use; 0: what OMP_NUM_THREADS says, else one
/// for each processor that this process may use (runtime/processors.h). Warns of more than that;
/// more than four times the machine's processors are capped there. Throws usage below 0.
void set_thread_count(int threads);
/// How many of them loops use now: fewer while other processes want the processors, as the ones that
/// have one would wait for those that stand in line (runtime/waiting.h).
int active_threads();

/// While it lives, libraries and loops that this thread starts use so many threads.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

/// How many rows of `channels` elements make a chunk worth a thread (about 16,000 elements).
inline int64_t row_grain(int64_t channels) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, channels));
}

/// Calls body(begin, end) over disjoint ranges that cover [0, count), in parallel if there are at
/// least two grains of work. Chunks must be independent, so results never depend on the number of
/// threads. The first exception of a chunk is rethrown here.
template <typename Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  const int64_t useful = (count + grain - 1) / grain;
  if (useful > 1) adapt_waiting();
  const int threads = static_cast<int>(std::min<int64_t>(active_threads(), useful));
  if (threads <= 1 || omp_in_parallel()) {
    body(int64_t{0}, count);
    return;
  }
  std::exception_ptr error;
#pragma omp parallel num_threads(threads)
  {
    const int64_t team = omp_get_num_threads();
    const int64_t rank = omp_get_thread_num();
    const int64_t begin = count * rank / team;
    const int64_t end = count * (rank + 1) / team;
    try {
      if (begin < end) body(begin, end);
    } catch (...) {
#pragma omp critical(pal_parallel_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

/// Calls body(task, next, worker) for each task of [0, count), by at most `workers` threads, each of which
/// takes another when it has done one: for tasks of 10 us and more, as cores that neighbours slow down,
/// or of two kinds, are not equally fast. `next` is what the same thread does after that, `count` or more
/// if it is not known yet; no two calls at a time have the same `worker`, which is less than `workers`.
/// Which thread does what differs from run to run, so tasks must not depend on it.
template <typename Body>
void parallel_tasks(int64_t count, int64_t workers, Body&& body) {
  std::atomic<int64_t> taken = 0;
  parallel_for(std::min(workers, count), 1, [&](int64_t worker, int64_t) {
    int64_t task = taken++;
    while (task < count) {
      // The last ones are for whoever is ready first.
      const bool plenty = count - taken.load() >= workers;
      const int64_t next = plenty ? taken++ : count;
      body(task, next, worker);
      task = plenty ? next : taken++;
    }
  });
}

/// Adds `parts` vectors of `width` values, laid out one after another, into the first one in a
/// fixed binary tree: the sum does not depend on the number of threads.
template <typename T>
void tree_sum(T* values, int64_t parts, int64_t width) {
  for (int64_t step = 1; step < parts; step *= 2)
    for (int64_t left = 0; left + step < parts; left += 2 * step)
      for (int64_t i = 0; i < width; ++i)
        values[left * width + i] += values[(left + step) * width + i];
}

/// Sum of term(i) over [0, count) in double, in fixed chunks and a fixed tree.
template <typename Term>
double parallel_sum(int64_t count, Term&& term) {
  constexpr int64_t kChunk = 4096;
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  if (chunks == 0) return 0.0;
  std::vector<double> partial(static_cast<size_t>(chunks));
  parallel_for(chunks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      double sum = 0.0;
      const int64_t last = std::min(count, (chunk + 1) * kChunk);
      for (int64_t i = chunk * kChunk; i < last; ++i) sum += static_cast<double>(term(i));
      partial[static_cast<size_t>(chunk)] = sum;
    }
  });
  tree_sum(partial.data(), chunks, 1);
  return partial[0];
}

}  // namespace pal
