#pragma once
#include <cstdint>
#include <functional>

#include "experiments/measures/rank_rounds.h"

namespace pal {

/// Work in `count` pieces that are dealt out to the ranks in turns: calls `make` with the numbers of
/// this rank's pieces and, on every rank, `take` with what was made of each, in their order. What
/// either throws on a rank ends the work on all of them, as RankRounds says. `ranks` may be null:
/// this process alone.
void share_pieces(Communicator* ranks, int64_t count,
                  const std::function<Message(int64_t piece)>& make,
                  const std::function<void(int64_t piece, Message&)>& take);

}  // namespace pal
