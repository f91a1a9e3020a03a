#include "experiments/command_line/parse_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>

#include "experiments/command_line/build_facts.h"
#include "experiments/command_line/option_help.h"
#include "experiments/command_line/program.h"
#include "runtime/error.h"

namespace pal {
namespace {

bool is_number(const std::string& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

const Option* option_of(const OptionTable& table, const std::string& argument) {
  if (argument.starts_with("--")) return table.find(argument.substr(2));
  if (argument.size() != 2 || argument[0] != '-') return nullptr;
  for (const Option& option : table.options())
    if (option.short_name() == argument[1]) return &option;
  return nullptr;
}

/// The arguments with "--flip false" as "--flip=false" and "--std 1 2 3" as "--std=1,2,3", which
/// the library would take for positional arguments; and "--against a b" as "--against a --against b".
std::vector<std::string> joined(const OptionTable& table, int argc, const char* const* argv,
                                int first) {
  std::vector<std::string> arguments;
  bool options_end = false;
  for (int i = first; i < argc; ++i) {
    std::string argument = argv[i];
    options_end = options_end || argument == "--";
    const Option* const option = option_of(table, argument);
    if (option != nullptr && argument.starts_with("--") && !options_end) {
      const auto next = [&] { return i + 1 < argc ? std::string(argv[i + 1]) : std::string(); };
      if (option->kind() == OptionKind::toggle && parse_truth(next()))
        argument += "=" + std::string(argv[++i]);
      if (option->kind() == OptionKind::numbers && is_number(next()))
        for (char sign = '='; is_number(next()); sign = ',')
          argument += sign + std::string(argv[++i]);
      // A flag before each of its values.
      for (; option->is_many() && i + 2 < argc && argv[i + 2][0] != '-'; ++i) {
        arguments.push_back(argument);
        arguments.emplace_back(argv[i + 1]);
      }
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

[[noreturn]] void refuse_unknown(const OptionTable& table, const std::string& argument) {
  const std::string flag = argument.substr(0, argument.find('='));
  const std::string bare = flag.substr(
      flag.find_first_not_of('-') == std::string::npos ? flag.size() : flag.find_first_not_of('-'));
  for (const auto& [word, answer] : table.synonyms())
    if (word == bare) fail(ErrorKind::usage, "{}: unknown option; use {}", flag, answer);
  if (bare.size() == 1 && option_of(table, "-" + bare) != nullptr)
    fail(ErrorKind::usage, "{}: unknown option; use -{}", flag, bare);
  std::vector<std::string> known;
  for (const Option& option : table.options()) known.push_back(option.name());
  const std::string nearest = bare.size() > 1 ? nearest_name(bare, known) : std::string();
  if (nearest.empty()) fail(ErrorKind::usage, "{}: unknown option; see --help", flag);
  fail(ErrorKind::usage, "{}: unknown option; did you mean --{}?", flag, nearest);
}

/// What the command line said of each option, in the library's terms.
class Reader {
 public:
  explicit Reader(OptionTable& table) : table_(table), app_("", table.program()) {
    app_.set_help_flag();
    app_.allow_extras();
    for (Option& option : table.options()) {
      std::string names = option.flag();
      if (option.short_name() != 0) names = fmt::format("-{},{}", option.short_name(), names);
      if (option.kind() == OptionKind::toggle)
        known_[&option] = app_.add_flag(names + ",!--no-" + option.name());
      else
        known_[&option] = app_.add_option(names, texts_[&option])
                              ->expected(option.values_taken())
                              ->allow_extra_args(false)
                              ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
  }

  void read(std::vector<std::string> arguments) {
    std::ranges::reverse(arguments);
    try {
      app_.parse(arguments);
    } catch (const CLI::ArgumentMismatch& error) {
      positional();
      const std::string text = error.what();
      const std::string flag = text.substr(0, text.find(':'));
      const Option* const option = option_of(table_, flag.substr(0, flag.find(',')));
      fail(ErrorKind::usage, "{}: expected {} after it", flag,
           option != nullptr ? option->expectation() : "a value");
    } catch (const CLI::ParseError& error) {
      fail(ErrorKind::usage, "command line: {}; see --help", error.what());
    }
    const std::vector<std::string> arguments_left = positional();
    for (const Option& option : table_.options()) expect_value(option);
    place(arguments_left);
    for (Option& option : table_.options()) give(option);
  }

 private:
  /// What belongs to no option. Throws usage for unknown options. (The library's own positional
  /// arguments would make two of a file called [a,b].)
  std::vector<std::string> positional() const {
    std::vector<std::string> arguments;
    bool options_end = false;
    for (const std::string& extra : app_.remaining(true)) {
      if (extra == "--" && !options_end)
        options_end = true;
      else if (!options_end && extra.size() > 1 && extra.starts_with('-'))
        refuse_unknown(table_, extra);
      else
        arguments.push_back(extra);
    }
    return arguments;
  }

  void place(const std::vector<std::string>& arguments) {
    size_t next = 0;
    for (const Positional& each : table_.positionals()) {
      if (each.values != nullptr) {
        each.values->assign(arguments.begin() + static_cast<ptrdiff_t>(next), arguments.end());
        return;
      }
      if (next < arguments.size()) *each.value = arguments[next++];
    }
    if (next < arguments.size())
      fail(ErrorKind::usage, "{}: unexpected argument; see --help", arguments[next]);
  }

  /// Refuses an option in the place of a value.
  void expect_value(const Option& option) const {
    for (const std::string& text : known_.at(&option)->results())
      if (option_of(table_, text.substr(0, text.find('='))) != nullptr)
        fail(ErrorKind::usage, "{}: expected {} after it, got the option {}", option.flag(),
             option.expectation(), text);
  }

  void give(Option& option) {
    const std::vector<std::string> results = known_.at(&option)->results();
    const size_t once = static_cast<size_t>(option.values_taken());
    if (results.size() > once && !option.is_repeated() && option.kind() != OptionKind::toggle)
      fail(ErrorKind::usage, "{}: given {} times, with '{}' and '{}'", option.flag(),
           results.size(), results[0], results[1]);
    if (results.size() % once != 0)
      fail(ErrorKind::usage, "{}: expected {} values after it, got '{}'", option.flag(), once,
           results.back());
    if (option.is_repeated() || once > 1)
      for (const std::string& text : results) option.set(text, Origin::command, option.flag());
    else if (!results.empty())
      option.set(results.back(), Origin::command, option.flag());
  }

  OptionTable& table_;
  CLI::App app_;
  std::map<const Option*, CLI::Option*> known_;
  std::map<const Option*, std::vector<std::string>> texts_;
};

/// Answers what asks about the program instead of using it.
bool answer(const OptionTable& program, const OptionTable& table,
            const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") return false;
    std::string text;
    if (argument == "--help" || argument == "-h") text = help_text(table);
    if (argument == "--version")
      text = fmt::format("{} (Palindrome) {}\n{}", program.program(), version(), build_facts());
    if (argument == "--man") text = man_page(program);
    if (argument == "--completion" || argument.starts_with("--completion=")) {
      const std::string next = i + 1 < arguments.size() ? arguments[i + 1] : "bash";
      const size_t sign = argument.find('=');
      const std::string shell = sign == std::string::npos ? next : argument.substr(sign + 1);
      expect(shell == "bash", "--completion: expected bash, got '{}'", shell);
      text = bash_completion(program);
    }
    if (text.empty()) continue;
    text.pop_back();
    print_result(text);
    return true;
  }
  return false;
}

}  // namespace

ParsedCommand parse_command_line(OptionTable& program, int argc, const char* const* argv) {
  OptionTable* table = &program;
  int first = 1;
  if (argc > 1)
    for (OptionTable& command : program.commands())
      if (command.program() == program.program() + " " + argv[1]) {
        table = &command;
        first = 2;
      }
  program.add_questions(true);
  for (OptionTable& command : program.commands()) command.add_questions(false);
  const std::vector<std::string> arguments = joined(*table, argc, argv, first);
  if (answer(program, *table, arguments)) return {true, table};
  Reader(*table).read(arguments);
  // Among other letters, as in -qh.
  const bool help = table->at("help").is_given();
  if (help) answer(program, *table, {"--help"});
  return {help, table};
}

}  // namespace pal
