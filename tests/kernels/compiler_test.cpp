#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace pal {
namespace {

__attribute__((noinline)) std::vector<double> two_ones() { return {1, 1, 0, 0}; }
__attribute__((noinline)) void write_text(char* to) {
  std::memcpy(to, "abababababababab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
}

// GCC 12.2 with AVX-512 turns a 256-bit constant of equal parts followed by zeros into a broadcast
// of the part; -mmove-max=128 -mstore-max=128 avoid it.
TEST(Compiler, WideConstantsKeepTheirZeros) {
  EXPECT_EQ(two_ones()[1], 1.0);
  EXPECT_EQ(two_ones()[2], 0.0);
  EXPECT_EQ(two_ones()[3], 0.0);
  char text[32];
  write_text(text);
  EXPECT_EQ(text[15], 'b');
  EXPECT_EQ(text[16], '\0');
}

}  // namespace
}  // namespace pal
