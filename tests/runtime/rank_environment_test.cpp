// What launchers tell a process, as faked environments.
#include "runtime/communicator/rank_environment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "tests/support/numeric.h"

namespace pal {
namespace {

using Variables = std::map<std::string, std::string>;
using testing::expect_error;

RankEnvironment read(const Variables& variables) {
  return read_rank_environment([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

void expect_rank(const RankEnvironment& found, const std::string& launcher, int rank, int size,
                 int local_rank, const std::string& job) {
  EXPECT_EQ(found.launcher, launcher);
  EXPECT_EQ(found.rank, rank);
  EXPECT_EQ(found.size, size);
  EXPECT_EQ(found.local_rank, local_rank);
  EXPECT_EQ(found.job, job);
}

TEST(RankEnvironment, AloneWithoutALauncher) {
  expect_rank(read({}), "", 0, 1, -1, "");
  expect_rank(read({{"RANK", ""}, {"WORLD_SIZE", ""}}), "", 0, 1, -1, "");
  EXPECT_EQ(read({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size, 1);
}

TEST(RankEnvironment, Torchrun) {
  const RankEnvironment found = read({{"RANK", "5"},
                                      {"WORLD_SIZE", "8"},
                                      {"LOCAL_RANK", "1"},
                                      {"MASTER_ADDR", "node0"},
                                      {"MASTER_PORT", "29500"},
                                      {"TORCHELASTIC_RUN_ID", "none"},
                                      {"TORCHELASTIC_RESTART_COUNT", "2"},
                                      {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                      {"SLURM_PROCID", "0"},
                                      {"SLURM_NTASKS", "2"},
                                      {"SLURM_STEP_ID", "0"}});
  expect_rank(found, "torchrun", 5, 8, 1, "none.2");
  EXPECT_EQ(found.address, "node0");
  // At the port itself torchrun listens.
  EXPECT_EQ(found.port, 29501);
}

TEST(RankEnvironment, ByHand) {
  const RankEnvironment found = read(
      {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "1234"}});
  expect_rank(found, "RANK and WORLD_SIZE", 1, 2, -1, "");
  EXPECT_EQ(found.port, 1234);
}

TEST(RankEnvironment, OpenMpi) {
  Variables variables = {{"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "4"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"PMIX_NAMESPACE", "1234567@1"},
                         {"PMIX_RANK", "3"}};
  expect_rank(read(variables), "mpirun", 3, 4, 1, "1234567.1");
  // Within a batch job mpirun's own start of its daemons shows.
  variables.insert({{"SLURM_PROCID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "2"}});
  expect_rank(read(variables), "mpirun", 3, 4, 1, "1234567.1");
}

TEST(RankEnvironment, Mpich) {
  Variables variables = {
      {"PMI_RANK", "2"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "2"}, {"MPI_LOCALNRANKS", "4"}};
  expect_rank(read(variables), "mpiexec", 2, 4, 2, "mpiexec." + std::to_string(::getppid()));
  // Ranks of several machines share no parent.
  variables["MPI_LOCALNRANKS"] = "2";
  expect_error(ErrorKind::usage, "mpiexec: 4 ranks, but no way to find each other",
               [&] { (void)read(variables); });
  variables.insert({{"MASTER_ADDR", "node0"}, {"MASTER_PORT", "1234"}});
  EXPECT_EQ(read(variables).port, 1234);
}

TEST(RankEnvironment, MpichInASlurmStep) {
  // srun --mpi=pmi2 says nothing of the machine; an mpiexec has one daemon on each.
  Variables variables = {{"PMI_RANK", "2"},
                         {"PMI_SIZE", "4"},
                         {"SLURM_JOB_ID", "77"},
                         {"SLURM_STEP_ID", "3"},
                         {"SLURM_PROCID", "2"},
                         {"SLURM_NTASKS", "4"},
                         {"SLURM_STEP_NUM_TASKS", "4"},
                         {"SLURM_LOCALID", "0"}};
  expect_rank(read(variables), "mpiexec", 2, 4, -1, "slurm.77.3.");
  variables["SLURM_PROCID"] = "1";
  variables["SLURM_STEP_NUM_TASKS"] = "2";
  variables.insert({{"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "2"}});
  expect_rank(read(variables), "mpiexec", 2, 4, 0, "slurm.77.3.");
}

TEST(RankEnvironment, SlurmStep) {
  Variables variables = {{"SLURM_JOB_ID", "77"},
                         {"SLURM_STEP_ID", "3"},
                         {"SLURM_PROCID", "2"},
                         {"SLURM_NTASKS", "4"},
                         {"SLURM_LOCALID", "0"}};
  expect_rank(read(variables), "srun", 2, 4, 0, "slurm.77.3.");
  // The tasks of the step, not of the job.
  variables["SLURM_STEP_NUM_TASKS"] = "3";
  EXPECT_EQ(read(variables).size, 3);
}

TEST(RankEnvironment, AShellInABatchJobIsOneProcess) {
  const RankEnvironment found = read({{"SLURM_JOB_ID", "77"},
                                      {"SLURM_PROCID", "0"},
                                      {"SLURM_NTASKS", "4"},
                                      {"SLURM_LOCALID", "0"}});
  expect_rank(found, "", 0, 1, -1, "");
  EXPECT_NE(found.hint.find("start the ranks by srun"), std::string::npos);
  EXPECT_EQ(read({{"SLURM_JOB_ID", "77"}, {"SLURM_NTASKS", "1"}}).hint, "");
}

TEST(RankEnvironment, ContradictionsAreRefused) {
  const auto refused = [](const Variables& variables, const std::string& text) {
    expect_error(ErrorKind::usage, text, [&] { (void)read(variables); });
  };
  refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}},
          "RANK=2, WORLD_SIZE=2: expected a rank from 0 to 1");
  refused({{"RANK", "0"}}, "RANK: set without WORLD_SIZE");
  refused({{"WORLD_SIZE", "2"}}, "WORLD_SIZE: set without RANK");
  refused({{"RANK", "one"}, {"WORLD_SIZE", "2"}}, "RANK: expected a number from 0 on, got 'one'");
  refused({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}, "RANK: expected a number");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "0"}}, "WORLD_SIZE=0: expected 1 to 65536 ranks");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "1000000"}}, "WORLD_SIZE=1000000: expected 1 to");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}}, "set MASTER_ADDR and MASTER_PORT");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}, "both or neither");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}},
          "both or neither");
  // Left in a shell, they would make every rank believe that it is alone.
  refused({{"RANK", "0"},
           {"WORLD_SIZE", "1"},
           {"OMPI_COMM_WORLD_RANK", "1"},
           {"OMPI_COMM_WORLD_SIZE", "2"}},
          "RANK and WORLD_SIZE say rank 0 of 1, but mpirun started rank 1 of 2");
}

}  // namespace
}  // namespace pal
