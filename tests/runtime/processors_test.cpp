#include "runtime/processors.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/control_group.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

/// A root folder with files in it.
class Root {
 public:
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = folder_.path() + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string path() const { return folder_.path(); }

 private:
  testing::TemporaryFolder folder_;
};

TEST(Processors, WithoutGroupsTheMaskAloneCounts) {
  const Root root;
  EXPECT_EQ(cgroup_processors(root.path()), 0.0);
  EXPECT_GE(usable_processors(root.path()), 1);
  EXPECT_GE(usable_processors(), 1);
}

TEST(Processors, TheFirstHasAName) {
  const Root root;
  EXPECT_EQ(processor_name(root.path()), "");
  root.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: A 9: fast  \nmodel name\t: B\n");
  EXPECT_EQ(processor_name(root.path()), "A 9: fast");
}

TEST(Processors, UsedSecondsAreThoseOfTheMask) {
  const Root root;
  EXPECT_LT(used_processor_seconds(root.path()), 0.0);
  std::string text = "cpu  9999 9999 9999 9999 9999 9999 9999 9999 0 0\n";
  // Ten ticks each, idle time and waiting for disks aside.
  for (int i = 0; i < CPU_SETSIZE; ++i)
    text += "cpu" + std::to_string(i) + " 4 3 1 500 700 1 0 1 0 0\n";
  root.write("proc/stat", text + "intr 12345\n");
  cpu_set_t mask;
  ASSERT_EQ(sched_getaffinity(0, sizeof(mask), &mask), 0);
  EXPECT_DOUBLE_EQ(used_processor_seconds(root.path()),
                   10.0 * CPU_COUNT(&mask) / static_cast<double>(sysconf(_SC_CLK_TCK)));
  EXPECT_GT(used_processor_seconds(), 0.0);
  root.write("proc/stat", "cpu0 broken\n");
  EXPECT_LT(used_processor_seconds(root.path()), 0.0);
}

TEST(Processors, TheLeastQuotaAlongAVersion2Path) {
  const Root root;
  root.write("proc/self/cgroup", "0::/user/job/step\n");
  root.write("sys/fs/cgroup/user/job/step/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_processors(root.path()), 0.0);
  root.write("sys/fs/cgroup/user/cpu.max", "350000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_processors(root.path()), 3.5);
  root.write("sys/fs/cgroup/user/job/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_processors(root.path()), 0.5);
  // Never less than one thread.
  EXPECT_EQ(usable_processors(root.path()), 1);
}

TEST(Processors, AContainerSeesItsGroupAtTheMount) {
  const Root root;
  root.write("proc/self/cgroup", "0::/\n");
  root.write("sys/fs/cgroup/cpu.max", "120000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_processors(root.path()), 1.2);
  EXPECT_EQ(usable_processors(root.path()), 1);
  root.write("proc/self/cgroup", "0::/docker/0123\n");
  EXPECT_DOUBLE_EQ(cgroup_processors(root.path()), 1.2);
}

TEST(Processors, Version1HasAFileForEach) {
  const Root root;
  root.write("proc/self/cgroup", "12:memory:/a\n4:cpu,cpuacct:/docker/0123\n1:name=systemd:/\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_processors(root.path()), 0.0);
  root.write("sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_quota_us", "250000\n");
  root.write("sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_period_us", "100000\n");
  EXPECT_DOUBLE_EQ(cgroup_processors(root.path()), 2.5);
}

TEST(ControlGroup, TheLeastMemoryOfEitherVersion) {
  const Root root;
  root.write("proc/self/cgroup", "9:memory:/a/b\n4:cpu,cpuacct:/\n0::/user/job\n");
  EXPECT_EQ(cgroup_memory(root.path()), 0);
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.write("sys/fs/cgroup/user/job/memory.max", "max\n");
  EXPECT_EQ(cgroup_memory(root.path()), 0);
  root.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "200000000\n");
  EXPECT_EQ(cgroup_memory(root.path()), 200000000);
  root.write("sys/fs/cgroup/user/memory.max", "100000000\n");
  EXPECT_EQ(cgroup_memory(root.path()), 100000000);
}

TEST(Processors, BrokenFilesSayNothing) {
  const Root root;
  root.write("proc/self/cgroup", "0::/\nnonsense\n::\n");
  for (const char* text : {"", "fast 100000", "-5 100000", "100000", "100000 0"}) {
    root.write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(cgroup_processors(root.path()), 0.0) << text;
  }
}

}  // namespace
}  // namespace pal
