#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/communicator/line_socket.h"
#include "runtime/communicator/membership.h"
#include "runtime/communicator/wait_clock.h"

namespace pal {

/// A rank's connection to the hub of its run, and the thread that gives signs of life there and
/// hears of losses.
class MemberLink {
 public:
  /// Called by the link's thread at the first loss.
  using OnLoss = std::function<void(const Loss&)>;

  /// Says hello by a connection to the hub, and waits until all ranks have arrived. Throws what the
  /// hub refuses the run for, and environment after `patience.join_seconds` and some.
  MemberLink(LineSocket hub, const Member& self, int size, const std::string& job,
             const std::string& version, PatienceSpec patience, OnLoss on_loss);
  /// Closes the connection: without a good-bye, a loss.
  ~MemberLink();
  MemberLink(const MemberLink&) = delete;
  MemberLink& operator=(const MemberLink&) = delete;

  /// All ranks of the run.
  const std::vector<Member>& members() const { return members_; }
  /// Address of this machine on the way to rank 0.
  const std::string& own_address() const { return own_address_; }

  /// Keeps a value for all ranks.
  void set(const std::string& key, const std::string& value);
  /// A value that some rank keeps or will keep. Throws peer where a rank is lost meanwhile, or after
  /// `seconds`.
  std::string get(const std::string& key, double seconds);

  /// Tells while this rank waits for others; the hub hears of it.
  WaitClock& wait_clock() { return wait_clock_; }
  /// How long it is ready to wait from now on; 0: for ever.
  void set_wait(double seconds) { wait_seconds_ = seconds; }

  /// Whether there was a loss so far; to be asked as often as one likes.
  bool has_loss() const { return has_loss_; }
  /// The first loss, if there was one so far.
  std::optional<Loss> loss() const;
  /// Waits for one.
  std::optional<Loss> wait_for_loss(double seconds) const;

  /// Tells all others that this rank ends with an error.
  void fail(const std::string& text, ErrorKind kind);
  /// Says good-bye: from here on nothing is a loss.
  void leave();

 private:
  using Clock = std::chrono::steady_clock;

  void say(const nlohmann::json& message);
  void serve(const std::stop_token& stop);
  void hear(const std::string& line);
  void lose(Loss loss);

  const PatienceSpec patience_;
  const OnLoss on_loss_;
  std::string own_address_;
  std::vector<Member> members_;
  WaitClock wait_clock_;
  std::atomic<double> wait_seconds_;
  std::atomic<bool> has_loss_ = false;

  mutable std::mutex mutex_;  ///< guards what follows
  mutable std::condition_variable changed_;
  LineSocket hub_;
  std::map<std::string, std::string> values_;
  std::optional<Loss> loss_;
  std::optional<std::pair<ErrorKind, std::string>> refusal_;
  bool left_ = false;
  std::jthread thread_;
};

}  // namespace pal
