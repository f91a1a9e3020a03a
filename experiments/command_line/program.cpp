#include "experiments/command_line/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <system_error>

#include "runtime/byte_count.h"
#include "runtime/communicator/rank_environment.h"
#include "runtime/error.h"
#include "runtime/silent_log.h"

namespace pal {
namespace {

/// Writes one line, whatever the text holds, after what went to stdout before.
void print_line(const std::string& text) {
  std::string line = text;
  std::ranges::replace_if(
      line, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", line.c_str());
}

int report(const std::string& name, const std::string& message, ErrorKind kind) {
  print_error(name, message);
  return exit_code(kind);
}

int run_body(const std::string& name, const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    return report(name, error.what(), error.kind());
  } catch (const std::bad_alloc&) {
    return report(name, "memory: the system has no more; use smaller batches or fewer processes",
                  ErrorKind::environment);
  } catch (const std::system_error& error) {
    return report(name, std::string("system: ") + error.what(), ErrorKind::environment);
  } catch (const std::exception& error) {
    return report(name, std::string("internal: ") + error.what(), ErrorKind::failure);
  }
}

/// Whether stdout is a pipe or socket that nobody reads any more.
bool reader_has_left() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

/// Refuses to do the same work, and write the same files, once for each rank that was started.
void expect_one_process(const std::string& name) {
  RankEnvironment environment;
  try {
    environment = read_rank_environment();
  } catch (const Error&) {
    // Variables that mean something else.
  }
  expect(environment.size == 1, "ranks: {} is one process, and {} started {} of it: start it alone",
         name, environment.launcher, environment.size);
}

/// Gives streams that are closed to nobody, else the next files that are opened would get what is
/// printed. Writing to stdout fails as before.
void fill_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0)
      (void)::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

/// Refuses limits under which libraries crash where they get no memory.
void expect_room() {
  const auto expect_least = [](decltype(RLIMIT_AS) resource, rlim_t least, const char* what,
                               const char* option) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur >= least) return;
    fail(ErrorKind::environment, "{}: limited to {}, expected at least {}; raise it by ulimit {}",
         what, format_bytes(static_cast<int64_t>(limit.rlim_cur)),
         format_bytes(static_cast<int64_t>(least)), option);
  };
  expect_least(RLIMIT_AS, rlim_t{512} << 20, "address space", "-v");
  expect_least(RLIMIT_STACK, rlim_t{512} << 10, "stack", "-s");
}

}  // namespace

int run_program(const std::string& name, const std::function<int()>& body, Processes processes) {
  fill_closed_streams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const int code = run_body(name, [&] {
    expect_room();
    if (processes == Processes::one)
      expect_one_process(name);
    else if (read_rank_environment().rank > 0)
      silence_log();
    return body();
  });
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  if (code == 0 && failed && !reader_has_left())
    return report(name, "stdout: cannot write; make room or send the output elsewhere",
                  ErrorKind::environment);
  return code;
}

void print_result(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void print_error(const std::string& name, const std::string& message) {
  print_line(name + ": error: " + message);
}

void print_warning(const std::string& message) { print_line("warning: " + message); }

std::string version() { return PAL_VERSION; }

}  // namespace pal
