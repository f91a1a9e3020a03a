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
};

/// How long is waited for ranks.
struct PatienceSpec {
  double join_seconds = 60.0;   ///< for all of them to arrive
  double silent_seconds = 6.0;  ///< without a sign of life
  double beat_seconds = 1.0;    ///< between two of them
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

/// An ErrorKind by its exit code, as messages carry it.
inline ErrorKind kind_of(int code) {
  for (const ErrorKind kind : {ErrorKind::usage, ErrorKind::data, ErrorKind::environment,
                               ErrorKind::numerics, ErrorKind::peer})
    if (exit_code(kind) == code) return kind;
  return ErrorKind::failure;
}

}  // namespace pal
