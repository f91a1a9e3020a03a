#include "experiments/command_line/rank_program.h"

#include "experiments/command_line/program.h"
#include "runtime/log.h"
#include "runtime/silent_log.h"

namespace pal {

RankSpec rank_spec(const std::string& program, const RankEnvironment& environment,
                   const std::string& output) {
  RankSpec spec;
  spec.environment = environment;
  spec.output = output;
  spec.version = version();
  spec.last_words = [program](const std::string& text) { print_error(program, text); };
  return spec;
}

int run_shared(const std::string& program, const std::string& output, RunOptions& options,
               const std::function<int(Communicator* ranks)>& body) {
  const RankEnvironment environment = read_rank_environment();
  if (!environment.hint.empty()) log_info("{}", environment.hint);
  Ranks ranks(rank_spec(program, environment, output));
  return ranks.run([&] {
    if (!ranks.is_first()) {
      silence_log();
      options.quiet = true;  // a line of progress is none of the log's
    }
    // Models do not talk to each other here, so they may share a GPU.
    place_rank(options.compute, CommKind::cpu, ranks);
    return body(ranks.alone() ? nullptr : &ranks.host());
  });
}

}  // namespace pal
