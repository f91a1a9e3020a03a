#pragma once
#include <cstdint>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "experiments/command_line/option.h"

namespace pal {

/// Heading of the options that every program answers by itself: --help and the like.
inline constexpr const char* kAboutGroup = "About";

/// A program's arguments that are not options, in order.
struct Positional {
  std::string name;
  std::string help;
  std::vector<std::string>* values = nullptr;  ///< takes any number
  std::string* value = nullptr;                ///< or takes one
};

/// The options of a program, each once: its variable and everything that is known about it. The
/// command line, configuration files, checkpoints, the help, man pages and shell completion are
/// all read from or made of this table.
///
///     OptionTable table("pal-info", "What it does.");
///     table.group("Model");
///     table.whole("batch-size", options.batch_size, "Images per step").letter('b').at_least(1);
class OptionTable {
 public:
  /// `description` may have paragraphs and examples; it stands above the options in the help.
  OptionTable(std::string program, std::string description);
  OptionTable(const OptionTable&) = delete;
  OptionTable& operator=(const OptionTable&) = delete;

  /// The heading of the options that follow.
  void group(const std::string& heading) { group_ = heading; }

  // Options by the type of their variable, which must outlive the table.

  /// `--name`, `--name true`, `--name=false`, `--no-name`.
  Option& toggle(const std::string& name, bool& target, const std::string& help);
  Option& whole(const std::string& name, int64_t& target, const std::string& help);
  Option& whole(const std::string& name, int& target, const std::string& help);
  Option& whole(const std::string& name, uint64_t& target, const std::string& help);
  Option& number(const std::string& name, double& target, const std::string& help);
  /// `count` numbers, or for 0 any number of them, with commas or spaces between.
  Option& numbers(const std::string& name, std::vector<double>& target, size_t count,
                  const std::string& help);
  Option& numbers(const std::string& name, std::vector<float>& target, const std::string& help);
  Option& numbers(const std::string& name, std::vector<int64_t>& target, size_t count,
                  const std::string& help);
  Option& text(const std::string& name, std::string& target, const std::string& help);
  /// Any number of texts, each after a flag of its own.
  Option& texts(const std::string& name, std::vector<std::string>& target, const std::string& help);
  /// A path, which shells complete and configuration files hold as it is given.
  Option& file(const std::string& name, std::string& target, const std::string& help);
  /// Bytes such as 2GiB or 512M.
  Option& bytes(const std::string& name, int64_t& target, const std::string& help);
  /// Seconds, or with a suffix minutes, hours or days: 90, 90s, 10m, 2h, 1d.
  Option& duration(const std::string& name, double& target, const std::string& help);
  /// One of several words, each with the value it stands for.
  template <typename Value>
  Option& choice(const std::string& name, Value& target,
                 std::vector<std::pair<std::string, Value>> known, const std::string& help) {
    std::vector<std::string> words;
    for (const auto& [word, value] : known) words.push_back(word);
    return custom(
               name, OptionKind::choice,
               [&target, known](const std::string& text) {
                 for (const auto& [word, value] : known)
                   if (word == text) target = value;
               },
               [&target, known] {
                 for (const auto& [word, value] : known)
                   if (value == target) return word;
                 return std::string();
               },
               help)
        .values(words);
  }
  /// An option with its own reading and printing.
  Option& custom(const std::string& name, OptionKind kind, Option::Assign assign,
                 Option::Print print, const std::string& help);

  void positional(const std::string& name, std::string& value, const std::string& help);
  void positionals(const std::string& name, std::vector<std::string>& values,
                   const std::string& help);

  /// Another word for an option, which people may know from elsewhere: answered with the right one.
  void synonym(const std::string& word, const std::string& answer);

  /// Adds --help; and --version, --man and --completion to a program. To be called last.
  void add_questions(bool program);

  /// A sub-command with options of its own, which has `name` as the first argument.
  OptionTable& command(const std::string& name, const std::string& description);

  // What it holds.

  const std::string& program() const { return program_; }
  const std::string& description() const { return description_; }
  std::list<Option>& options() { return options_; }
  const std::list<Option>& options() const { return options_; }
  const std::vector<Positional>& positionals() const { return positionals_; }
  const std::list<OptionTable>& commands() const { return commands_; }
  std::list<OptionTable>& commands() { return commands_; }
  const std::vector<std::pair<std::string, std::string>>& synonyms() const { return synonyms_; }
  /// The option of a name without dashes; null if there is none.
  Option* find(const std::string& name);
  const Option* find(const std::string& name) const;
  /// The option of a name that is there.
  Option& at(const std::string& name);

  /// Gives options that no person set the defaults of an architecture.
  void apply_architecture(const std::string& arch);
  /// Refuses options that were given but say nothing about a network of the given kind (a flow, or
  /// a ResNet), and warns of those without effect. Throws usage naming the first.
  void check_effects(bool flow) const;
  /// Whether an option says something about a network of this kind, with the other values as they
  /// are.
  static bool has_effect(const Option& option, bool flow);

 private:
  Option& add(Option option);

  std::string program_, description_, group_;
  std::list<Option> options_;
  std::vector<Positional> positionals_;
  std::list<OptionTable> commands_;
  std::vector<std::pair<std::string, std::string>> synonyms_;
  bool question_ = false;  // of --help and the like, which are answered at once
  std::string shell_;
};

/// Seconds of a text as `OptionTable::duration` takes it. Throws usage "expected ...".
double parse_duration(const std::string& text);

}  // namespace pal
