#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/communicator/line_socket.h"
#include "runtime/communicator/membership.h"
#include "runtime/communicator/signs_of_life.h"

namespace pal {

/// What the ranks of a run have in common: a thread of rank 0 that every rank, itself too, is
/// connected to. It waits until all have arrived, keeps values by key, and tells all others which
/// rank was lost first: the one whose connection breaks before it said good-bye, that says an error,
/// that gives no sign of life, or that all others wait for in vain.
class Hub {
 public:
  /// Listens at `port` (0: any free one) for `size` ranks of the run `job`, whose programs are all
  /// of version `version`. Throws environment if the port is taken.
  /// `address`: where the launcher told the ranks to look for it, if it did.
  Hub(int size, std::string job, std::string version, int port, PatienceSpec patience = {},
      std::string address = {});
  /// Waits until all ranks that are left have said good-bye.
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  int port() const { return listener_.port(); }

 private:
  using Clock = std::chrono::steady_clock;

  /// Somebody who is connected, a rank once it has said which.
  struct Guest {
    explicit Guest(double silent_seconds) : life(silent_seconds) {}
    LineSocket socket;
    int rank = -1;
    bool gone = false;
    SignsOfLife life;
    Beat beat;  ///< the last one
  };
  /// What is known of a rank that has arrived.
  struct Seat {
    Member member;
    bool done = false;  ///< said good-bye, or was lost
  };

  void serve(const std::stop_token& stop);
  void wait_for_news();
  void welcome_guest();
  void read_from(Guest& guest);
  void take(Guest& guest, const std::string& line);
  void seat(Guest& guest, const nlohmann::json& hello);
  void begin_if_complete();
  void refuse_all(ErrorKind kind, const std::string& text);
  void answer(const std::string& key);
  void lose(int rank, const std::string& reason, ErrorKind kind = ErrorKind::peer);
  void look_for_silent();
  void look_for_missed();
  bool counts(const Guest& guest) const;
  void beat();
  bool refused() const { return !refusal_.empty(); }
  bool nobody_needs_it() const;
  void tell(const Guest& guest, const nlohmann::json& message) const;
  void tell_all(const nlohmann::json& message) const;

  const int size_;
  const std::string job_;
  const std::string version_;
  const PatienceSpec patience_;
  const std::string address_;
  Listener listener_;
  std::vector<std::unique_ptr<Guest>> guests_;
  std::vector<std::optional<Seat>> seats_;
  std::map<std::string, std::string> values_;
  std::map<std::string, std::vector<int>> waiting_;  ///< ranks that asked for a key
  bool begun_ = false;
  std::string refusal_;  ///< the message to all, once the run is refused
  int greeted_ = 0;      ///< guests that said which rank they are
  Clock::time_point refused_at_;
  bool lost_ = false;
  Clock::time_point opened_ = Clock::now();
  Clock::time_point beaten_ = Clock::now();
  std::jthread thread_;
};

}  // namespace pal
