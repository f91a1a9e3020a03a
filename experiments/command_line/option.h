#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pal {

/// Where an option's value comes from, weakest first: a stronger source is never overwritten.
enum class Origin {
  standard,      ///< the program's default
  architecture,  ///< the default of the chosen architecture
  run,           ///< the configuration of the run that is resumed
  file,          ///< a configuration file
  command,       ///< the command line
};

/// What a resumed run makes of another value than the run's own.
enum class OnResume {
  keeps,    ///< refuses it: it decides what the run is
  changes,  ///< takes it with a warning: the numbers are then not those of a run without a stop
  free,     ///< takes it: it decides no number
  process,  ///< as free, and without one takes the default: it is about one process, not the run
};

/// The networks an option says something about.
enum class Families { all, flows, resnets };

/// What the values of an option look like.
enum class OptionKind { toggle, whole, number, numbers, text, choice };

/// One option of a program: its name, what it may be, and the variable it sets. Made by an
/// OptionTable; the methods that return the option itself describe it further.
class Option {
 public:
  /// Sets the variable from a text that has passed the checks and has no plus signs before numbers,
  /// or throws usage "expected ...".
  using Assign = std::function<void(const std::string&)>;
  /// The variable as such a text.
  using Print = std::function<std::string()>;

  Option(std::string name, OptionKind kind, std::string group, std::string help, Assign assign,
         Print print);

  // Describing it.

  Option& letter(char letter);
  /// What stands for the value in the help, such as STEPS or FILE; says its unit.
  Option& unit(const std::string& unit);
  Option& at_least(double least);
  Option& above(double least);
  Option& at_most(double most);
  Option& below(double most);
  /// A word that may stand in place of the number `value`, such as auto for 0.
  Option& word(const std::string& word, double value);
  /// The words that are allowed, where the kind is choice; or known, in help and completion alone.
  Option& values(std::vector<std::string> values);
  /// Defaults of architectures that differ from the general one: pairs of name and text.
  Option& by_architecture(std::vector<std::pair<std::string, std::string>> defaults);
  /// The same, for the help alone: the values follow from the architecture by themselves.
  Option& architecture_note(std::vector<std::pair<std::string, std::string>> defaults);
  Option& families(Families families);
  Option& on_resume(OnResume rule);
  /// The value belongs to the recipe that a checkpoint records.
  Option& recorded();
  /// The value is left out of configuration files that programs write.
  Option& unsaved();
  /// The value has an effect only where `applies` says so; `when` completes "has an effect only".
  Option& only(const std::string& when, std::function<bool()> applies);
  /// The default in the help's words, where the value itself would not tell.
  Option& shown_default(const std::string& text);
  /// A path: files that programs write hold it as an absolute one.
  Option& path();
  /// What files that programs write hold in place of a value.
  Option& saved_as(std::function<std::string(const std::string&)> saved);
  /// May be given several times; else twice is an error.
  Option& repeated();
  /// Takes all arguments up to the next option, each as a value; for one that is repeated.
  Option& many();
  /// Takes so many values at once, not one.
  Option& takes(int values);

  // Its properties.

  const std::string& name() const { return name_; }
  char short_name() const { return letter_; }
  OptionKind kind() const { return kind_; }
  const std::string& group() const { return group_; }
  const std::string& help() const { return help_; }
  const std::string& unit() const { return unit_; }
  const std::vector<std::string>& values() const { return values_; }
  /// The words that may stand for a number.
  std::vector<std::string> words() const;
  Families families() const { return families_; }
  OnResume on_resume() const { return on_resume_; }
  bool is_recorded() const { return recorded_; }
  bool is_saved() const { return saved_; }
  /// A path, or a text that may be one.
  bool is_path() const { return save_ != nullptr; }
  bool is_repeated() const { return repeated_; }
  bool is_many() const { return many_; }
  int values_taken() const { return taken_; }
  Origin origin() const { return origin_; }
  /// Given by a person, in a file or on the command line.
  bool is_given() const { return origin_ >= Origin::file && !claimed_; }
  bool applies() const { return !applies_ || applies_(); }
  const std::string& when() const { return when_; }
  /// "--name".
  std::string flag() const { return "--" + name_; }
  /// What a value must be, for messages and the help: "a number of at least 0".
  std::string expectation() const;
  /// The range or the words, for the help; empty if there is nothing to say.
  std::string range_text() const;
  /// The defaults, for the help: "default 0.07 (ibinn-small 0.01)"; empty if there is none.
  std::string default_text() const;

  // Its value.

  /// Sets the value unless a stronger source has done so. Throws usage "WHERE: expected ..., got
  /// '...'" for a text that does not fit.
  void set(const std::string& text, Origin origin, const std::string& where);
  /// Keeps the value as it is from sources weaker than `origin`.
  void claim(Origin origin);
  /// The value as `set` takes it.
  std::string text() const;
  /// The value as TOML and JSON have it: numbers, true and false bare, lists in brackets, all else
  /// quoted, and so whole numbers beyond 64 bits with a sign.
  std::string literal() const;
  /// The same as files that programs write hold it.
  std::string saved_literal() const;
  /// The default of an architecture as `set` takes it; empty if it has none of its own.
  std::string architecture_default(const std::string& arch) const;

 private:
  void check_number(const std::string& text) const;
  bool in_range(double value) const;
  /// The text of the number that a word stands for; else the text itself.
  std::string number_of(const std::string& text) const;

  std::string name_, group_, help_, unit_, when_, shown_default_;
  char letter_ = 0;
  OptionKind kind_;
  Assign assign_;
  Print print_;
  double least_ = -std::numeric_limits<double>::infinity();
  double most_ = std::numeric_limits<double>::infinity();
  bool above_ = false, below_ = false;
  std::vector<std::pair<std::string, std::string>> words_;  // word, number
  std::vector<std::string> values_;
  std::vector<std::pair<std::string, std::string>> by_architecture_;
  bool described_only_ = false;
  Families families_ = Families::all;
  OnResume on_resume_ = OnResume::free;
  bool recorded_ = false, saved_ = true, repeated_ = false, many_ = false;
  std::function<std::string(const std::string&)> save_;
  std::function<bool()> applies_;
  int taken_ = 1;
  bool claimed_ = false;  // from weaker sources, without a value of its own
  Origin origin_ = Origin::standard;
  std::string standard_;  // the text before the first set
};

/// What "true", "yes", "on", "1" and their opposites say, in any case; nothing for another text.
std::optional<bool> parse_truth(const std::string& text);

/// A path seen from the root, without dots; empty for an empty one.
std::string absolute_path(const std::string& path);

}  // namespace pal
