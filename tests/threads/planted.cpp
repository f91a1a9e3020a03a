#include <cstdio>
#include <string_view>
#include <vector>

// A loop whose threads read what others wrote in the loop before; with the argument `race`, also one in
// which all write to one place. tests/threads.sh must report the second, and not the first.
int main(int argc, char** argv) {
  constexpr int kCount = 4096;
  const bool race = argc > 1 && std::string_view(argv[1]) == "race";
  std::vector<int> values(kCount);
  int last = 0;
#pragma omp parallel for num_threads(2)
  for (int i = 0; i < kCount; ++i) values[static_cast<size_t>(i)] = i;
#pragma omp parallel for num_threads(2)
  for (int i = 0; i < kCount; ++i) {
    const int other = values[static_cast<size_t>(kCount - 1 - i)];
    if (race) last = other;
  }
  std::printf("%d\n", last);
  return 0;
}
