#include "runtime/communicator/ranks.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <utility>
#include <vector>

#include "runtime/communicator/gloo_communicator.h"
#include "runtime/communicator/rendezvous.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

constexpr auto kNap = std::chrono::milliseconds(50);

LineSocket find_hub(const RankSpec& spec, const std::string& job, const std::string& file,
                    int port) {
  const RankEnvironment& environment = spec.environment;
  const double seconds = spec.patience.join_seconds;
  if (environment.rank == 0) return reach_hub("127.0.0.1", port, job, seconds);
  if (!file.empty()) return reach_hub(file, job, seconds);
  return reach_hub(environment.address, environment.port, job, seconds);
}

/// Waits; returns false as soon as it is asked to stop.
bool passes(double seconds, const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::milliseconds(static_cast<int64_t>(1e3 * seconds));
  while (std::chrono::steady_clock::now() < end) {
    if (stop.stop_requested()) return false;
    std::this_thread::sleep_for(kNap);
  }
  return true;
}

}  // namespace

Ranks::Ranks() : host_(std::make_unique<SingleCommunicator>()) {
  self_.rank = self_.local_rank = 0;
  self_.host = host_name();
  self_.process = ::getpid();
}

Ranks::Ranks(const RankSpec& spec)
    : environment_(spec.environment),
      grace_seconds_(spec.grace_seconds),
      last_words_(spec.last_words),
      silent_seconds_(spec.patience.silent_seconds) {
  if (environment_.size == 1) {
    host_ = std::make_unique<SingleCommunicator>();
    self_.rank = self_.local_rank = 0;
    return;
  }
  const std::string job = environment_.job.empty() ? "by-hand" : environment_.job;
  const bool by_file = environment_.address.empty();
  const std::string file = by_file ? rendezvous_file(spec.output, job) : std::string();
  if (environment_.rank == 0) {
    hub_ = std::make_unique<Hub>(environment_.size, job, spec.version, environment_.port,
                                 spec.patience, environment_.address);
    if (by_file) write_rendezvous(file, job, hub_->port());
  }
  const auto end_rendezvous = [&] {
    if (by_file && environment_.rank == 0) remove_file(file);
  };
  const Member me = {.rank = environment_.rank,
                     .local_rank = environment_.local_rank,
                     .host = host_name(),
                     .process = ::getpid()};
  try {
    link_ = std::make_unique<MemberLink>(find_hub(spec, job, file, hub_ ? hub_->port() : 0), me,
                                         environment_.size, job, spec.version, spec.patience,
                                         [this](const Loss& loss) { on_loss(loss); });
  } catch (...) {
    end_rendezvous();
    throw;
  }
  end_rendezvous();
  self_ = link_->members()[static_cast<size_t>(environment_.rank)];
  host_ = make_gloo_communicator(*link_, environment_.rank, environment_.size,
                                 [this](const std::string& why) { return error_after(why); });
}

Ranks::~Ranks() {
  // Its thread may wait for a rank that will never answer.
  if (failed_ && link_) {
    host_->abort();
    // Kept to the end of the process.
    static auto* const abandoned = new std::vector<std::unique_ptr<Communicator>>();
    abandoned->push_back(std::move(host_));
  }
  host_.reset();
  if (link_) link_->leave();
}

Error Ranks::error_of(const Loss& loss) const {
  const int64_t step = step_;
  if (loss.kind == ErrorKind::usage)
    return {loss.kind, fmt::format("{}: {}", loss.member.str(), loss.reason)};
  return {loss.kind,
          fmt::format("{} lost {}: {}", loss.member.str(),
                      step > 0 ? fmt::format("at step {}", step) : "before the first step",
                      loss.reason)};
}

Error Ranks::error_after(const std::string& why) const {
  // Who sees a broken connection first may not know whose death broke it; the hub does.
  constexpr double kMargin = 4.0;
  const auto loss = link_->wait_for_loss(silent_seconds_ + kMargin);
  return loss ? error_of(*loss)
              : Error(ErrorKind::peer, fmt::format("ranks: a connection broke: {}", why));
}

void Ranks::check() const {
  if (!link_ || !link_->has_loss()) return;
  if (const auto loss = link_->loss()) throw Error(error_of(*loss));
}

void Ranks::on_loss(const Loss& loss) {
  last_resort_ = std::jthread([this, error = error_of(loss)](const std::stop_token& stop) {
    if (!passes(grace_seconds_, stop)) return;
    if (!told_.exchange(true)) {
      say_last_words(error.what());
    } else if (!passes(grace_seconds_, stop)) {
      return;
    }
    ::_exit(exit_code(error.kind()));
  });
}

void Ranks::say_last_words(const std::string& text) const {
  // Where nobody reads what this process writes, it would hang here, too.
  constexpr double kMostSeconds = 1.0;
  const auto said = std::make_shared<std::atomic<bool>>(false);
  std::thread([said, text, words = last_words_] {
    if (words) words(text);
    std::fflush(nullptr);
    *said = true;
  }).detach();
  for (double waited = 0.0; !*said && waited < kMostSeconds; waited += 0.01)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void Ranks::expect_agreement(const nlohmann::json& mine) {
  const std::string text = json_text(mine, -1, BadUtf8::replaced);
  const std::vector<std::string> all = all_gather_texts(host(), text);
  const nlohmann::json first = parse_json(all[0]);
  for (size_t r = 1; r < all.size(); ++r) {
    const nlohmann::json other = parse_json(all[r]);
    for (const auto& [key, value] : first.items())
      expect(other.contains(key) && other.at(key) == value,
             "ranks: {} differs from rank 0 in {}: it has {}, rank 0 {}", link_->members()[r].str(),
             key, other.contains(key) ? json_text(other.at(key)) : std::string("none"),
             json_text(value));
  }
}

int Ranks::run(const std::function<int()>& body) {
  const auto end_with = [this](const std::exception& error, ErrorKind kind) {
    failed_ = told_ = true;
    // What follows from another rank's loss is no news.
    if (link_ && kind != ErrorKind::peer && !link_->has_loss()) link_->fail(error.what(), kind);
  };
  try {
    return body();
  } catch (const Error& error) {
    end_with(error, error.kind());
    throw;
  } catch (const std::exception& error) {
    end_with(error, ErrorKind::failure);
    throw;
  }
}

}  // namespace pal
