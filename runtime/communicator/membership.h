#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/error.h"

// What the hub of a run and its members tell each other, a JSON object a line: {"say": "beat", ...}.
namespace pal {

/// A rank as the others know it.
struct Member {
  int rank = -1;
  int local_rank = -1;  ///< place among the ranks of its machine
  int local_size = 1;   ///< ranks of its machine
  std::string host;
  int64_t process = 0;

  /// "rank 2 (node7, process 4711)".
  std::string str() const { return fmt::format("rank {} ({}, process {})", rank, host, process); }
};

/// The first rank that was lost, and how.
struct Loss {
  Member member;
  std::string reason;  ///< "killed", "silent for 6 s", or its own error
  /// What the others end with: peer, or usage where the rank refused what all were asked to do.
  ErrorKind kind = ErrorKind::peer;
};

/// A sign of life: what a rank does, and for how long by now.
struct Beat {
  bool waiting = false;       ///< for other ranks
  double seconds = 0.0;       ///< that it has waited or, else, not waited
  double wait_seconds = 0.0;  ///< that it is ready to wait; 0: for ever
};

/// How long is waited for ranks.
struct PatienceSpec {
  double join_seconds = 60.0;   ///< for all of them to arrive
  double silent_seconds = 6.0;  ///< without a sign of life
  double beat_seconds = 1.0;    ///< between two of them
  /// While ranks that have arrived at an exchange wait for one that has not, but shows signs of
  /// life; 0: for ever.
  double wait_seconds = 0.0;
};

inline nlohmann::json to_json(const Member& member) {
  return {{"rank", member.rank},
          {"local_rank", member.local_rank},
          {"local_size", member.local_size},
          {"host", member.host},
          {"process", member.process}};
}

inline Member member_of(const nlohmann::json& json) {
  return {json.at("rank"), json.at("local_rank"), json.at("local_size"), json.at("host"),
          json.at("process")};
}

inline nlohmann::json to_json(const Beat& beat) {
  return {{"say", "beat"},
          {"waiting", beat.waiting},
          {"seconds", beat.seconds},
          {"wait_seconds", beat.wait_seconds}};
}

inline Beat beat_of(const nlohmann::json& json) {
  return {json.at("waiting"), json.at("seconds"), json.at("wait_seconds")};
}

/// An ErrorKind by its exit code, as messages carry it.
inline ErrorKind kind_of(int code) {
  for (const ErrorKind kind : {ErrorKind::usage, ErrorKind::data, ErrorKind::environment,
                               ErrorKind::numerics, ErrorKind::peer})
    if (exit_code(kind) == code) return kind;
  return ErrorKind::failure;
}

}  // namespace pal
