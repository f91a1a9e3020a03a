#include "experiments/datasets/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "runtime/error.h"

namespace pal {
namespace {

constexpr int kWaitMilliseconds = 200;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0)
      fail(ErrorKind::environment, "pipe: cannot make one: {}", std::strerror(errno));
  }
  ~Pipe() {
    close_writer();
    ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  /// Appends what is there; false at the end.
  bool read_to(std::string& text) const {
    std::array<char, 4096> buffer;
    const ssize_t got = ::read(ends_[0], buffer.data(), buffer.size());
    if (got > 0) text.append(buffer.data(), static_cast<size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

/// Our environment with messages in English.
std::vector<std::string> english_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (std::strncmp(*variable, "LC_ALL=", 7) != 0) variables.emplace_back(*variable);
  variables.emplace_back("LC_ALL=C");
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t start(std::vector<std::string> arguments, const std::string& folder, const Pipe& output,
            const Pipe& errors) {
  std::vector<std::string> variables = english_environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.writer(), STDERR_FILENO);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments[0].c_str(), &actions, nullptr,
                                   pointers(arguments).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT)
    fail(ErrorKind::environment, "{}: no such program in PATH; install it", arguments[0]);
  if (error != 0)
    fail(ErrorKind::environment, "{}: cannot start it: {}", arguments[0], std::strerror(error));
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments, const std::string& folder,
                          const std::function<void()>& waiting) {
  Pipe output;
  Pipe errors;
  const pid_t child = start(arguments, folder, output, errors);
  output.close_writer();
  errors.close_writer();
  CommandResult result;
  std::array<pollfd, 2> pipes = {{{output.reader(), POLLIN, 0}, {errors.reader(), POLLIN, 0}}};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    const int ready = ::poll(pipes.data(), pipes.size(), kWaitMilliseconds);
    if (ready < 0 && errno != EINTR) break;
    if (ready > 0 && pipes[0].revents != 0 && !output.read_to(result.output)) pipes[0].fd = -1;
    if (ready > 0 && pipes[1].revents != 0 && !errors.read_to(result.errors)) pipes[1].fd = -1;
    if (waiting) waiting();
  }
  result.code = wait_for(child);
  return result;
}

CommandFault fault_of(const CommandResult& result) {
  std::istringstream lines(result.errors);
  CommandFault fault{ErrorKind::data, last_line(result.errors)};
  for (std::string line; std::getline(lines, line);) {
    // tar's words where the disk, or what a file may hold, ends within what it writes.
    if (line.find(": Wrote only ") != std::string::npos)
      fault = {ErrorKind::environment,
               line + ": " + std::strerror(ENOSPC) + ", or " + std::strerror(EFBIG)};
    for (const int reason : {ENOSPC, EDQUOT, EFBIG, EROFS, EIO})
      // The command speaks English; so does this program, which chooses no language.
      if (line.find(std::strerror(reason)) != std::string::npos)
        fault = {ErrorKind::environment, line};
  }
  return fault;
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string::npos) return "";
  const size_t begin = text.find_last_of("\n\r", end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace pal
