#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "runtime/communicator/communicator.h"
#include "runtime/communicator/hub.h"
#include "runtime/communicator/member_link.h"
#include "runtime/communicator/rank_environment.h"

namespace pal {

/// How a process joins its run.
struct RankSpec {
  RankEnvironment environment;
  /// What the run writes: beside it ranks find each other where the launcher gives no address.
  std::string output;
  /// Of the program, which must be the same everywhere.
  std::string version;
  PatienceSpec patience;
  /// Seconds that a lost run is given to end by itself (a save, say) before it is ended.
  double grace_seconds = 1.5;
  /// Called before a lost run is ended, to print the one line that says so.
  std::function<void(const std::string& text)> last_words;
};

/// The ranks of the run that this process belongs to: how many they are, and how they talk. Where
/// one of them is lost, communicators throw Error (peer), and a process that does not end by itself
/// is ended with exit code 6, as it may wait for something that will never come.
class Ranks {
 public:
  /// This process alone.
  Ranks();
  /// Joins the other ranks, which takes until all are there. Throws what refuses the run (usage,
  /// environment), or peer.
  explicit Ranks(const RankSpec& spec);
  /// Says good-bye; rank 0 waits until all have.
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const { return host_->rank(); }
  int size() const { return host_->size(); }
  bool is_first() const { return rank() == 0; }
  bool alone() const { return size() == 1; }
  /// This rank as the others know it.
  const Member& self() const { return self_; }
  const RankEnvironment& environment() const { return environment_; }

  /// Exchanges tensors on the CPU, for one thread.
  Communicator& host() { return *host_; }

  /// The step that losses name from now on.
  void set_step(int64_t step) { step_ = step; }
  /// How long ranks wait from now on for one that is alive; 0: for ever.
  void set_wait(double seconds) {
    if (link_) link_->set_wait(seconds);
  }
  /// Throws Error (peer) if a rank was lost, or what it refused all for (usage).
  void check() const;
  /// Throws Error (usage), on all ranks, for the first entry of `mine`, an object of texts, in which
  /// a rank differs from rank 0.
  void expect_agreement(const nlohmann::json& mine);
  /// Calls body(); tells the others of an error before it passes it on.
  int run(const std::function<int()>& body);

 private:
  void on_loss(const Loss& loss);
  void say_last_words(const std::string& text) const;
  Error error_of(const Loss& loss) const;
  Error error_after(const std::string& why) const;

  RankEnvironment environment_;
  Member self_;
  double grace_seconds_ = 0.0;
  std::function<void(const std::string&)> last_words_;
  std::atomic<int64_t> step_ = 0;
  double silent_seconds_ = 0.0;
  std::atomic<bool> told_ = false;  ///< whether a line about the end is on its way
  bool failed_ = false;
  std::unique_ptr<Hub> hub_;  // goes last, as it waits for all
  std::unique_ptr<MemberLink> link_;
  std::unique_ptr<Communicator> host_;
  std::jthread last_resort_;
};

}  // namespace pal
