#include "runtime/communicator/member_link.h"

#include <poll.h>

#include <utility>

#include "runtime/communicator/signs_of_life.h"
#include "runtime/json.h"

namespace pal {
namespace {

using Clock = std::chrono::steady_clock;

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(1e3 * seconds));
}

double since(Clock::time_point time) {
  return std::chrono::duration<double>(Clock::now() - time).count();
}

constexpr int kLinkNapMilliseconds = 100;

}  // namespace

MemberLink::MemberLink(LineSocket hub, const Member& self, int size, const std::string& job,
                       const std::string& version, PatienceSpec patience, OnLoss on_loss)
    : patience_(patience),
      on_loss_(std::move(on_loss)),
      wait_seconds_(patience.wait_seconds),
      hub_(std::move(hub)) {
  own_address_ = hub_.own_address();
  say({{"say", "hello"},
       {"member", to_json(self)},
       {"size", size},
       {"job", job},
       {"version", version}});
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  std::unique_lock lock(mutex_);
  // The hub says itself who is missing, a moment before.
  constexpr double kMargin = 10.0;
  changed_.wait_for(lock, milliseconds(patience.join_seconds + kMargin),
                    [&] { return !members_.empty() || refusal_ || loss_; });
  if (refusal_) throw Error(refusal_->first, refusal_->second);
  if (members_.empty())
    pal::fail(ErrorKind::environment,
              "ranks: rank 0 was reached, but did not begin; it may have failed");
}

MemberLink::~MemberLink() {
  thread_.request_stop();
  thread_.join();
}

void MemberLink::say(const nlohmann::json& message) {
  const std::lock_guard lock(mutex_);
  (void)hub_.send(json_text(message, -1, BadUtf8::replaced));
}

void MemberLink::serve(const std::stop_token& stop) {
  SignsOfLife life(patience_.silent_seconds);
  Clock::time_point beaten = Clock::now();
  Member first;
  first.rank = 0;
  const auto rank_0 = [&] { return members_.empty() ? first : members_[0]; };
  while (!stop.stop_requested()) {
    pollfd watched{hub_.descriptor(), POLLIN, 0};
    ::poll(&watched, 1, kLinkNapMilliseconds);
    std::vector<std::string> lines;
    bool open = true;
    {
      const std::lock_guard lock(mutex_);
      open = hub_.receive(lines);
    }
    for (const std::string& line : lines) hear(line);
    if (!open) {
      lose({rank_0(), "killed, or its connection broke"});
      return;
    }
    if (!lines.empty()) life.hear();
    if (const double silent = life.silence(); silent > patience_.silent_seconds)
      lose({rank_0(), fmt::format("silent for {:.0f} s", silent)});
    if (since(beaten) >= patience_.beat_seconds) {
      beaten = Clock::now();
      const WaitClock::Reading reading = wait_clock_.read();
      say(to_json(Beat{reading.waiting, reading.seconds, wait_seconds_}));
    }
  }
}

void MemberLink::hear(const std::string& line) {
  const nlohmann::json message = parse_json(line);
  if (!message.is_object() || !message.contains("say")) return;
  const std::string said = message.at("say");
  if (said == "lost")
    return lose(
        {member_of(message.at("member")), message.at("reason"), kind_of(message.at("code"))});
  const std::lock_guard lock(mutex_);
  if (said == "welcome") {
    for (const auto& member : message.at("members")) members_.push_back(member_of(member));
  } else if (said == "refused") {
    refusal_.emplace(kind_of(message.at("code")), message.at("text"));
  } else if (said == "value") {
    values_[message.at("key")] = message.at("value");
  }
  changed_.notify_all();
}

void MemberLink::lose(Loss loss) {
  {
    const std::lock_guard lock(mutex_);
    if (left_ || loss_ || refusal_) return;
    loss_ = loss;
    has_loss_ = true;
    if (members_.empty())
      refusal_.emplace(ErrorKind::peer, fmt::format("rank {} lost before the run began: {}",
                                                    loss.member.rank, loss.reason));
    changed_.notify_all();
    if (members_.empty()) return;
  }
  if (on_loss_) on_loss_(loss);
}

void MemberLink::set(const std::string& key, const std::string& value) {
  say({{"say", "set"}, {"key", key}, {"value", value}});
}

std::string MemberLink::get(const std::string& key, double seconds) {
  say({{"say", "get"}, {"key", key}});
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, milliseconds(seconds), [&] { return values_.contains(key) || loss_; });
  if (const auto found = values_.find(key); found != values_.end()) return found->second;
  if (loss_)
    pal::fail(ErrorKind::peer, "{} lost before the first step: {}", loss_->member.str(),
              loss_->reason);
  pal::fail(ErrorKind::peer, "ranks: nobody said '{}' within {:.0f} s", key, seconds);
}

std::optional<Loss> MemberLink::loss() const {
  const std::lock_guard lock(mutex_);
  return loss_;
}

std::optional<Loss> MemberLink::wait_for_loss(double seconds) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, milliseconds(seconds), [&] { return loss_.has_value(); });
  return loss_;
}

void MemberLink::fail(const std::string& text, ErrorKind kind) {
  say({{"say", "failed"}, {"text", text}, {"code", exit_code(kind)}});
}

void MemberLink::leave() {
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
  }
  say({{"say", "bye"}});
}

}  // namespace pal
