#include "experiments/datasets/child_process.h"

#include <gtest/gtest.h>

namespace pal {
namespace {

CommandFault fault_of_errors(const std::string& errors) {
  return fault_of(run_command({"sh", "-c", "printf '%s' \"$1\" >&2; exit 2", "sh", errors}));
}

TEST(ChildProcess, TellsAFullDiskFromABrokenFile) {
  const std::string full =
      "tar: ./usr/a.png: Cannot write: No space left on device\n"
      "tar: Exiting with failure status due to previous errors\n";
  const CommandFault disk = fault_of_errors(full + "dpkg-deb: error: tar subprocess failed\n");
  EXPECT_EQ(disk.kind, ErrorKind::environment);
  EXPECT_EQ(disk.line, "tar: ./usr/a.png: Cannot write: No space left on device");
  EXPECT_EQ(fault_of_errors("tar: a: Cannot write: File too large\nend\n").kind,
            ErrorKind::environment);
  EXPECT_EQ(fault_of_errors("tar: ./a: Wrote only 403 of 8192 bytes\nend\n").line,
            "tar: ./a: Wrote only 403 of 8192 bytes: No space left on device, or File too large");
  EXPECT_EQ(fault_of_errors("a: Read-only file system").kind, ErrorKind::environment);

  const CommandFault broken = fault_of_errors("first\ndpkg-deb: error: not an archive\n");
  EXPECT_EQ(broken.kind, ErrorKind::data);
  EXPECT_EQ(broken.line, "dpkg-deb: error: not an archive");
}

}  // namespace
}  // namespace pal
