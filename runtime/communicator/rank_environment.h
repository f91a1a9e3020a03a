#pragma once
#include <functional>
#include <string>

namespace pal {

/// What a launcher (torchrun, mpirun, srun, ...) tells a process of the run that it started.
struct RankEnvironment {
  std::string launcher;  ///< "torchrun", "mpirun", "srun", ...; empty: started by hand, alone
  int rank = 0;
  int size = 1;
  /// Place among the ranks of this machine; -1: not told.
  int local_rank = -1;
  /// Where rank 0 listens; empty: it says so in a file.
  std::string address;
  int port = 0;
  /// What this launch is called, so that ranks find each other by a file; empty: not known.
  std::string job;
  /// What a person may have missed, for a log line; empty: nothing.
  std::string hint;
};

/// The value of an environment variable; null: it is not set.
using EnvironmentReader = std::function<const char*(const char* name)>;

/// Reads, in this order: RANK, WORLD_SIZE, LOCAL_RANK (torchrun, or by hand);
/// OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK (Open MPI); PMI_RANK, PMI_SIZE, MPI_LOCALRANKID (MPICH,
/// Intel MPI); SLURM_PROCID, SLURM_STEP_NUM_TASKS or SLURM_NTASKS, SLURM_LOCALID of a job step: a
/// shell within a batch script is one process. MASTER_ADDR and MASTER_PORT say where rank 0
/// listens. Throws usage for numbers that are none, lie outside the run, lack their counterpart, or
/// contradict those of another launcher.
RankEnvironment read_rank_environment(const EnvironmentReader& get);
/// The same of this process.
RankEnvironment read_rank_environment();

}  // namespace pal
