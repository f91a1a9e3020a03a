#include "runtime/communicator/hub.h"

#include <fmt/ranges.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "runtime/json.h"

namespace pal {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point time) {
  return std::chrono::duration<double>(Clock::now() - time).count();
}

/// "1, 2, 3 and 5 more".
std::string some_of(const std::vector<int>& ranks) {
  constexpr size_t kNamed = 16;
  const size_t named = std::min(ranks.size(), kNamed);
  std::string text = fmt::format("{}", fmt::join(ranks.begin(), ranks.begin() + named, ", "));
  if (named < ranks.size()) text += fmt::format(" and {} more", ranks.size() - named);
  return text;
}

/// How long the thread sleeps at most.
constexpr int kNapMilliseconds = 100;

}  // namespace

Hub::Hub(int size, std::string job, std::string version, int port, PatienceSpec patience,
         std::string address)
    : size_(size),
      job_(std::move(job)),
      version_(std::move(version)),
      patience_(patience),
      address_(std::move(address)),
      listener_(port),
      seats_(static_cast<size_t>(size)) {
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

Hub::~Hub() = default;

bool Hub::nobody_needs_it() const {
  // Who comes late is to hear of the refusal too.
  constexpr double kLateSeconds = 2.0;
  if (refused()) return greeted_ >= size_ || seconds_since(refused_at_) > kLateSeconds;
  return std::ranges::all_of(guests_, [&](const auto& guest) {
    return guest->gone || guest->rank < 0 || seats_[static_cast<size_t>(guest->rank)]->done;
  });
}

void Hub::serve(const std::stop_token& stop) {
  while (!stop.stop_requested() || !nobody_needs_it()) {
    wait_for_news();
    welcome_guest();
    for (const auto& guest : guests_)
      if (!guest->gone) read_from(*guest);
    look_for_silent();
    look_for_missed();
    beat();
    if (!begun_ && !refused() && seconds_since(opened_) > patience_.join_seconds) {
      std::vector<int> missing;
      for (int r = 0; r < size_; ++r)
        if (!seats_[static_cast<size_t>(r)]) missing.push_back(r);
      refuse_all(
          ErrorKind::environment,
          fmt::format("ranks: {} of {} did not arrive within {:g} s: {}; were they started, and "
                      "can they reach {} at port {}{}?",
                      missing.size(), size_, patience_.join_seconds, some_of(missing), host_name(),
                      port(),
                      address_.empty() ? "" : fmt::format(" (by MASTER_ADDR {})", address_)));
    }
  }
}

void Hub::wait_for_news() {
  std::vector<pollfd> watched = {{listener_.descriptor(), POLLIN, 0}};
  for (const auto& guest : guests_)
    if (!guest->gone) watched.push_back({guest->socket.descriptor(), POLLIN, 0});
  ::poll(watched.data(), watched.size(), kNapMilliseconds);
}

void Hub::welcome_guest() {
  for (LineSocket socket = listener_.accept(); socket.is_open(); socket = listener_.accept()) {
    auto guest = std::make_unique<Guest>(patience_.silent_seconds);
    guest->socket = std::move(socket);
    guests_.push_back(std::move(guest));
    tell(*guests_.back(), {{"say", "hub"}, {"job", job_}});
  }
}

void Hub::read_from(Guest& guest) {
  std::vector<std::string> lines;
  const bool open = guest.socket.receive(lines);
  if (!lines.empty()) guest.life.hear();
  for (const std::string& line : lines) take(guest, line);
  if (open) return;
  guest.gone = true;
  guest.socket.close();
  if (guest.rank >= 0) lose(guest.rank, "killed, or its connection broke");
}

void Hub::take(Guest& guest, const std::string& line) {
  const nlohmann::json message = parse_json(line);
  // Who does not speak our language is none of ours.
  if (!message.is_object() || !message.contains("say")) return;
  try {
    const std::string say = message.at("say");
    if (say == "hello" && guest.rank < 0) {
      seat(guest, message);
    } else if (guest.rank < 0) {
      return;
    } else if (say == "set") {
      values_[message.at("key")] = message.at("value");
      answer(message.at("key"));
    } else if (say == "get") {
      waiting_[message.at("key")].push_back(guest.rank);
      answer(message.at("key"));
    } else if (say == "beat") {
      guest.beat = beat_of(message);
    } else if (say == "failed") {
      const bool refused = kind_of(message.at("code")) == ErrorKind::usage;
      lose(guest.rank, message.at("text"), refused ? ErrorKind::usage : ErrorKind::peer);
    } else if (say == "bye") {
      seats_[static_cast<size_t>(guest.rank)]->done = true;
    }
  } catch (const nlohmann::json::exception&) {
    lose(guest.rank, "it said what nobody understands");
  }
}

void Hub::seat(Guest& guest, const nlohmann::json& hello) {
  Member member = member_of(hello.at("member"));
  const auto refuse = [&](const std::string& text) { refuse_all(ErrorKind::usage, text); };
  if (hello.at("job") != job_) return tell(guest, {{"say", "other"}});
  ++greeted_;
  if (refused()) return (void)guest.socket.send(refusal_);
  const int size = hello.at("size");
  if (const std::string version = hello.at("version"); version != version_)
    return refuse(fmt::format("ranks: {} runs version {}, rank 0 {}: use one build everywhere",
                              member.str(), version, version_));
  if (size != size_ || member.rank < 0 || member.rank >= size_)
    return refuse(
        fmt::format("ranks: {} believes in {} ranks, rank 0 in {}", member.str(), size, size_));
  auto& seat = seats_[static_cast<size_t>(member.rank)];
  if (seat)
    return refuse(
        fmt::format("ranks: {} and {} have one number", seat->member.str(), member.str()));
  guest.rank = member.rank;
  seat.emplace(Seat{std::move(member), false});
  begin_if_complete();
}

void Hub::begin_if_complete() {
  if (!std::ranges::all_of(seats_, [](const auto& s) { return s.has_value(); })) return;
  begun_ = true;
  for (const auto& guest : guests_) guest->life.hear();
  // Places on a machine, where the launcher does not tell, are by rank.
  std::map<std::string, int> on_host;
  for (auto& seat : seats_) {
    const int place = on_host[seat->member.host]++;
    if (seat->member.local_rank < 0) seat->member.local_rank = place;
  }
  nlohmann::json members = nlohmann::json::array();
  for (auto& seat : seats_) {
    seat->member.local_size = on_host[seat->member.host];
    members.push_back(to_json(seat->member));
  }
  tell_all({{"say", "welcome"}, {"members", members}});
}

void Hub::refuse_all(ErrorKind kind, const std::string& text) {
  if (refused()) return;
  refused_at_ = Clock::now();
  const nlohmann::json message = {{"say", "refused"}, {"text", text}, {"code", exit_code(kind)}};
  refusal_ = json_text(message, -1, BadUtf8::replaced);
  for (const auto& guest : guests_)
    if (!guest->gone) (void)guest->socket.send(refusal_);
}

void Hub::answer(const std::string& key) {
  const auto value = values_.find(key);
  if (value == values_.end()) return;
  for (const int rank : waiting_[key])
    for (const auto& guest : guests_)
      if (guest->rank == rank)
        tell(*guest, {{"say", "value"}, {"key", key}, {"value", value->second}});
  waiting_.erase(key);
}

void Hub::lose(int rank, const std::string& reason, ErrorKind kind) {
  if (rank < 0) return;
  Seat& seat = *seats_[static_cast<size_t>(rank)];
  if (std::exchange(seat.done, true) || lost_) return;
  // What follows from the first loss is no news.
  lost_ = true;
  if (begun_)
    tell_all({{"say", "lost"},
              {"member", to_json(seat.member)},
              {"reason", reason},
              {"code", exit_code(kind)}});
  else
    refuse_all(kind, fmt::format("{} lost before the run began: {}", seat.member.str(), reason));
}

void Hub::look_for_silent() {
  // Before all are there nobody waits for anybody but at the door; and rank 0 is this process.
  for (const auto& guest : guests_) {
    const double silent = guest->life.silence();
    if (begun_ && counts(*guest) && guest->rank != 0 && silent > patience_.silent_seconds)
      lose(guest->rank, fmt::format("silent for {:.0f} s", silent));
  }
}

void Hub::look_for_missed() {
  // Ranks that wait the longest came to the exchange first; who has not waited since then has not
  // come.
  double longest = 0.0;
  double ready = 0.0;
  for (const auto& guest : guests_) {
    if (!counts(*guest) || !guest->beat.waiting || guest->beat.seconds <= longest) continue;
    longest = guest->beat.seconds;
    ready = guest->beat.wait_seconds;
  }
  if (ready <= 0.0 || longest <= ready) return;
  for (const auto& guest : guests_)
    if (counts(*guest) && !guest->beat.waiting && guest->beat.seconds > ready)
      lose(guest->rank,
           fmt::format("alive, but the others have waited for it for {:.0f} s", longest));
}

bool Hub::counts(const Guest& guest) const {
  return !guest.gone && guest.rank >= 0 && !seats_[static_cast<size_t>(guest.rank)]->done;
}

void Hub::beat() {
  if (seconds_since(beaten_) < patience_.beat_seconds) return;
  beaten_ = Clock::now();
  tell_all({{"say", "beat"}});
}

void Hub::tell(const Guest& guest, const nlohmann::json& message) const {
  if (!guest.gone) (void)guest.socket.send(json_text(message, -1, BadUtf8::replaced));
}

void Hub::tell_all(const nlohmann::json& message) const {
  for (const auto& guest : guests_)
    if (guest->rank >= 0) tell(*guest, message);
}

}  // namespace pal
