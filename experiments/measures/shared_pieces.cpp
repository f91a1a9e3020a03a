#include "experiments/measures/shared_pieces.h"

namespace pal {

void share_pieces(Communicator* ranks, int64_t count,
                  const std::function<Message(int64_t piece)>& make,
                  const std::function<void(int64_t piece, Message&)>& take) {
  RankRounds rounds(ranks);
  int64_t taken = 0;
  for (int64_t first = 0; first < count; first += rounds.size())
    rounds.round(
        [&] {
          const int64_t mine = first + rounds.rank();
          return mine < count ? make(mine) : Message();
        },
        [&](Message& message) {
          if (taken < count) take(taken++, message);
        });
  rounds.finish();
}

}  // namespace pal
