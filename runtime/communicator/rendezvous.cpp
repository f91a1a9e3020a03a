#include "runtime/communicator/rendezvous.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "runtime/error.h"
#include "runtime/file.h"
#include "runtime/json.h"

namespace pal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPause = std::chrono::milliseconds(50);
/// For one attempt.
constexpr double kConnectSeconds = 5.0;
constexpr int kGreetingMilliseconds = 2000;

double seconds_since(Clock::time_point time) {
  return std::chrono::duration<double>(Clock::now() - time).count();
}

/// Whether the other side is the hub of the run.
bool greets(LineSocket& socket, const std::string& job) {
  std::vector<std::string> lines;
  pollfd watched{socket.descriptor(), POLLIN, 0};
  if (::poll(&watched, 1, kGreetingMilliseconds) != 1 || !socket.receive(lines) || lines.empty())
    return false;
  const nlohmann::json greeting = parse_json(lines[0]);
  return greeting.is_object() && greeting.value("say", "") == "hub" &&
         greeting.value("job", "") == job;
}

/// One attempt.
std::optional<LineSocket> attempt(const std::string& address, int port, const std::string& job,
                                  double seconds, std::string& reason) {
  LineSocket socket = connect_line(address, port, seconds, reason);
  if (!socket.is_open()) return std::nullopt;
  if (greets(socket, job)) return socket;
  reason = "what listens there is not rank 0 of this run";
  return std::nullopt;
}

/// Tries until it works.
template <typename Attempt>
LineSocket try_until(double seconds, Attempt&& once) {
  const Clock::time_point start = Clock::now();
  std::string place;
  std::string reason;
  while (true) {
    const double left = std::max(0.1, seconds - seconds_since(start));
    if (auto socket = once(std::min(left, kConnectSeconds), place, reason))
      return std::move(*socket);
    if (seconds_since(start) >= seconds) break;
    std::this_thread::sleep_for(kPause);
  }
  fail(ErrorKind::environment,
       "ranks: rank 0 was not reached within {:.0f} s {}: {}; is it running, and does a firewall "
       "stand between?",
       seconds, place, reason);
}

}  // namespace

std::string rendezvous_file(const std::string& output, const std::string& job) {
  namespace fs = std::filesystem;
  fs::path folder = fs::absolute(output).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return fmt::format("{}.ranks-{}", folder.string(), job);
}

void write_rendezvous(const std::string& path, const std::string& job, int port) {
  const nlohmann::json place = {{"job", job}, {"addresses", own_addresses()}, {"port", port}};
  const auto folder = std::filesystem::path(path).parent_path().string();
  if (!folder.empty()) make_folders(folder);
  write_atomic(path, json_text(place) + "\n");
}

LineSocket reach_hub(const std::string& address, int port, const std::string& job, double seconds) {
  return try_until(seconds, [&](double left, std::string& place, std::string& reason) {
    place = fmt::format("at {}, port {}", address, port);
    return attempt(address, port, job, left, reason);
  });
}

LineSocket reach_hub(const std::string& file, const std::string& job, double seconds) {
  return try_until(
      seconds,
      [&](double left, std::string& place, std::string& reason) -> std::optional<LineSocket> {
        place = fmt::format("by the file {}", file);
        std::error_code ignored;
        if (!std::filesystem::exists(file, ignored)) {
          reason = "there is none; where ranks share no folder, set MASTER_ADDR and MASTER_PORT";
          return std::nullopt;
        }
        const auto written = parse_json_file(file);
        if (!written.is_object()) return std::nullopt;
        try {
          for (const std::string address : written.at("addresses"))
            if (auto socket = attempt(address, written.at("port"), job,
                                      std::min(left, kConnectSeconds / 2), reason))
              return socket;
        } catch (const nlohmann::json::exception&) {
          reason = "what it says is not understood";
        } catch (const Error& error) {
          reason = error.what();
        }
        return std::nullopt;
      });
}

}  // namespace pal
