#include "runtime/communicator/rank_environment.h"

#include <unistd.h>

#include <cctype>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "runtime/error.h"

namespace pal {
namespace {

/// The variables of one launcher; null: it has none.
struct Launcher {
  const char* name;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* local_size;
};

/// A number beyond it is a slip.
constexpr int kMostRanks = 65536;

constexpr Launcher kByHand = {"RANK and WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK",
                              "LOCAL_WORLD_SIZE"};
constexpr Launcher kOpenMpi = {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                               "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Launcher kMpich = {"mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID",
                             "MPI_LOCALNRANKS"};
constexpr Launcher kSlurmStep = {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
                                 nullptr};
constexpr Launcher kSlurm = {"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", nullptr};

bool is_set(const EnvironmentReader& get, const char* name) {
  const char* const value = name == nullptr ? nullptr : get(name);
  return value != nullptr && *value != '\0';
}

std::string text(const EnvironmentReader& get, const char* name) {
  return is_set(get, name) ? get(name) : "";
}

std::optional<int> number(const EnvironmentReader& get, const char* name) {
  if (!is_set(get, name)) return std::nullopt;
  const char* const value = get(name);
  const char* const end = value + std::strlen(value);
  int result = 0;
  const auto parsed = std::from_chars(value, end, result);
  expect(parsed.ec == std::errc() && parsed.ptr == end && result >= 0,
         "{}: expected a number from 0 on, got '{}'", name, value);
  return result;
}

/// The step of a batch job that this process is of.
std::string slurm_job(const EnvironmentReader& get) {
  std::string step = text(get, "SLURM_STEP_ID");
  if (step.empty()) step = text(get, "SLURM_STEPID");
  return fmt::format("slurm.{}.{}.{}", text(get, "SLURM_JOB_ID"), step,
                     text(get, "SLURM_RESTART_COUNT"));
}

/// What one launcher says; nothing if it says nothing.
std::optional<RankEnvironment> read(const EnvironmentReader& get, const Launcher& launcher) {
  const auto rank = number(get, launcher.rank);
  const auto size = number(get, launcher.size);
  if (!rank && !size) return std::nullopt;
  expect(rank.has_value(), "{}: set without {}", launcher.size, launcher.rank);
  expect(size.has_value(), "{}: set without {}", launcher.rank, launcher.size);
  expect(*size >= 1 && *size <= kMostRanks, "{}={}: expected 1 to {} ranks", launcher.size, *size,
         kMostRanks);
  expect(*rank < *size, "{}={}, {}={}: expected a rank from 0 to {}", launcher.rank, *rank,
         launcher.size, *size, *size - 1);
  RankEnvironment found;
  found.launcher = launcher.name;
  found.rank = *rank;
  found.size = *size;
  found.local_rank = number(get, launcher.local_rank).value_or(-1);
  return found;
}

/// Refuses variables set by hand that another launcher contradicts: left in a shell, they would make
/// each process a rank of its own.
void expect_agreement(const RankEnvironment& by_hand, const std::optional<RankEnvironment>& other) {
  if (!other || other->size == 1) return;
  expect(other->rank == by_hand.rank && other->size == by_hand.size,
         "RANK and WORLD_SIZE say rank {} of {}, but {} started rank {} of {}: unset RANK and "
         "WORLD_SIZE",
         by_hand.rank, by_hand.size, other->launcher, other->rank, other->size);
}

bool in_slurm_step(const EnvironmentReader& get) {
  return is_set(get, "SLURM_STEP_ID") || is_set(get, "SLURM_STEPID") ||
         is_set(get, "SLURM_STEP_NUM_TASKS");
}

std::optional<RankEnvironment> read_slurm(const EnvironmentReader& get) {
  if (!in_slurm_step(get)) return std::nullopt;
  return read(get, is_set(get, kSlurmStep.size) ? kSlurmStep : kSlurm);
}

RankEnvironment choose(const EnvironmentReader& get) {
  const auto by_hand = read(get, kByHand);
  const auto open_mpi = read(get, kOpenMpi);
  const auto mpich = read(get, kMpich);
  const auto slurm = read_slurm(get);
  const std::string torchrun = text(get, "TORCHELASTIC_RUN_ID");
  if (by_hand) {
    RankEnvironment chosen = *by_hand;
    if (!torchrun.empty()) {
      chosen.launcher = "torchrun";
      chosen.job = torchrun + "." + text(get, "TORCHELASTIC_RESTART_COUNT");
      return chosen;
    }
    for (const auto& other : {open_mpi, mpich, slurm}) expect_agreement(chosen, other);
    return chosen;
  }
  if (open_mpi) {
    RankEnvironment chosen = *open_mpi;
    chosen.job = text(get, "PMIX_NAMESPACE");
    if (chosen.job.empty()) chosen.job = text(get, "OMPI_MCA_ess_base_jobid");
    return chosen;
  }
  if (mpich) {
    RankEnvironment chosen = *mpich;
    // All ranks of a machine are children of one process.
    if (number(get, kMpich.local_size) == chosen.size)
      chosen.job = fmt::format("mpiexec.{}", ::getppid());
    // By srun --mpi=pmi2, or by mpiexec, which starts its daemons by srun.
    else if (in_slurm_step(get))
      chosen.job = slurm_job(get);
    return chosen;
  }
  if (slurm) {
    RankEnvironment chosen = *slurm;
    chosen.job = slurm_job(get);
    return chosen;
  }
  RankEnvironment alone;
  if (const int tasks = number(get, "SLURM_NTASKS").value_or(1);
      tasks > 1 && is_set(get, "SLURM_JOB_ID"))
    alone.hint = fmt::format(
        "this job has {} tasks, but its batch script is one process: start the ranks by srun",
        tasks);
  return alone;
}

}  // namespace

RankEnvironment read_rank_environment(const EnvironmentReader& get) {
  RankEnvironment found = choose(get);
  if (found.size == 1) return found;
  found.address = text(get, "MASTER_ADDR");
  found.port = number(get, "MASTER_PORT").value_or(0);
  expect(
      found.address.empty() == (found.port == 0) && found.port < 65536,
      "MASTER_ADDR='{}', MASTER_PORT='{}': expected the name of the machine of rank 0 and a port "
      "from 1 to 65535, both or neither",
      found.address, text(get, "MASTER_PORT"));
  // There torchrun itself listens.
  if (found.port != 0 && text(get, "TORCHELASTIC_USE_AGENT_STORE") == "True")
    found.port = found.port < 65535 ? found.port + 1 : found.port - 1;
  for (char& c : found.job)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '.';
  expect(!found.address.empty() || !found.job.empty(),
         "{}: {} ranks, but no way to find each other: set MASTER_ADDR and MASTER_PORT",
         found.launcher, found.size);
  return found;
}

RankEnvironment read_rank_environment() {
  return read_rank_environment([](const char* name) { return std::getenv(name); });
}

}  // namespace pal
