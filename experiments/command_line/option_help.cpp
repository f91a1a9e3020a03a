#include "experiments/command_line/option_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "experiments/command_line/program.h"

namespace pal {
namespace {

constexpr size_t kColumn = 30;

std::string usage_line(const OptionTable& table) {
  std::string line = table.program() + " [OPTIONS]";
  for (const Positional& each : table.positionals())
    line += fmt::format(" [{}{}]", each.name, each.values != nullptr ? "..." : "");
  return line;
}

/// "-b, --batch-size N".
std::string names_of(const Option& option) {
  std::string names =
      option.short_name() != 0 ? fmt::format("-{}, ", option.short_name()) : std::string("    ");
  names += option.flag();
  if (option.kind() != OptionKind::toggle) names += " " + option.unit();
  return names;
}

/// The help, the values and the defaults of an option as sentences.
std::string sentences_of(const Option& option) {
  std::string text = option.help();
  if (option.families() != Families::all)
    text += option.families() == Families::flows ? " (flows)" : " (ResNets)";
  if (const std::string range = option.range_text(); !range.empty())
    text += (option.kind() == OptionKind::choice ? ": " : "; ") + range;
  const std::string standard = option.default_text();
  const bool silent = option.kind() == OptionKind::toggle && standard == "default false";
  if (!standard.empty() && !silent) text += "; " + standard;
  return text;
}

/// Appends text in lines of at most `width` characters that begin with `indent` spaces; the first
/// of them goes on at `column`.
void append_wrapped(std::string& page, const std::string& text, size_t indent, size_t column,
                    size_t width) {
  size_t begin = 0;
  bool first = true;
  while (begin < text.size()) {
    size_t end = std::min(text.find(' ', begin), text.size());
    if (!first && column + 1 + (end - begin) > width) {
      page += "\n" + std::string(indent, ' ');
      column = indent;
      first = true;
    }
    if (!first) {
      page += ' ';
      ++column;
    }
    page.append(text, begin, end - begin);
    column += end - begin;
    first = false;
    begin = end + 1;
  }
  page += '\n';
}

void append_entry(std::string& page, const std::string& names, const std::string& text,
                  size_t width) {
  std::string head = "  " + names;
  if (head.size() + 2 > kColumn)
    head += "\n" + std::string(kColumn, ' ');
  else
    head.resize(kColumn, ' ');
  page += head;
  append_wrapped(page, text, kColumn, kColumn, width);
}

std::vector<std::string> groups_of(const OptionTable& table) {
  std::vector<std::string> groups;
  for (const Option& option : table.options())
    if (std::ranges::find(groups, option.group()) == groups.end()) groups.push_back(option.group());
  return groups;
}

/// Text as troff has it: backslashes and dashes escaped, no line that begins with a control
/// character.
std::string troff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    const bool begins = escaped.empty() || escaped.back() == '\n';
    if (begins && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\')
      escaped += "\\e";
    else if (c == '-')
      escaped += "\\-";
    else
      escaped += c;
  }
  return escaped;
}

void append_man_options(std::string& page, const OptionTable& table) {
  for (const std::string& group : groups_of(table)) {
    page += ".SS " + troff(group) + "\n";
    for (const Option& option : table.options()) {
      if (option.group() != group) continue;
      std::string names = names_of(option);
      names.erase(0, names.find_first_not_of(' '));
      page += ".TP\n.B " + troff(names) + "\n" + troff(sentences_of(option)) + "\n";
    }
  }
}

/// The words that complete the value of an option, as an entry of a shell's case.
std::string completion_case(const Option& option) {
  if (option.kind() == OptionKind::toggle) return {};
  std::string flags = option.flag();
  if (option.short_name() != 0) flags += fmt::format("|-{}", option.short_name());
  std::vector<std::string> words = option.values();
  for (const std::string& word : option.words()) words.push_back(word);
  std::string candidates;
  if (!words.empty())
    candidates = fmt::format("compgen -W '{}' -- \"$word\"; ", fmt::join(words, " "));
  // Names may hold spaces, so they come a line each.
  if (option.kind() == OptionKind::text && option.unit() != "BYTES" && option.unit() != "TIME")
    candidates += "compgen -f -- \"$word\"; ";
  if (candidates.empty()) return fmt::format("    {}) return ;;\n", flags);
  return fmt::format("    {}) mapfile -t COMPREPLY < <({}); return ;;\n", flags, candidates);
}

std::string flags_of(const OptionTable& table) {
  std::string flags;
  for (const Option& option : table.options()) flags += option.flag() + " ";
  return flags;
}

std::string cases_of(const OptionTable& table) {
  std::string cases;
  for (const Option& option : table.options()) cases += completion_case(option);
  return cases;
}

std::string last_word(const std::string& text) { return text.substr(text.rfind(' ') + 1); }

}  // namespace

std::string help_text(const OptionTable& table, size_t width) {
  std::string page = "Usage: " + usage_line(table) + "\n";
  for (const OptionTable& command : table.commands())
    page += "       " + usage_line(command) + "\n";
  page += "\n" + table.description() + "\n";
  if (!table.positionals().empty()) page += "\n";
  for (const Positional& each : table.positionals())
    append_entry(page, each.name, each.help, width);
  if (!table.commands().empty()) page += "\nCommands (each has --help)\n";
  for (const OptionTable& command : table.commands())
    append_entry(page, last_word(command.program()), command.description(), width);
  for (const std::string& group : groups_of(table)) {
    page += "\n" + group + "\n";
    for (const Option& option : table.options())
      if (option.group() == group)
        append_entry(page, names_of(option), sentences_of(option), width);
  }
  return page;
}

std::string man_page(const OptionTable& table) {
  const std::string& name = table.program();
  const std::string summary =
      table.description().substr(0, table.description().find_first_of(".:"));
  std::string page =
      fmt::format(".TH {} 1 \"\" \"Palindrome {}\" \"User commands\"\n", name, version());
  page += fmt::format(".SH NAME\n{} \\- {}\n", troff(name), troff(summary));
  page += fmt::format(".SH SYNOPSIS\n.B {}\n", troff(usage_line(table)));
  for (const OptionTable& command : table.commands())
    page += fmt::format(".br\n.B {}\n", troff(usage_line(command)));
  page += ".SH DESCRIPTION\n.nf\n" + troff(table.description()) + "\n.fi\n";
  page += ".SH OPTIONS\n";
  for (const Positional& each : table.positionals())
    page += ".TP\n.B " + troff(each.name) + "\n" + troff(each.help) + "\n";
  append_man_options(page, table);
  for (const OptionTable& command : table.commands()) {
    page += ".SH " + troff(command.program()) + "\n" + troff(command.description()) + "\n";
    append_man_options(page, command);
  }
  page +=
      ".SH EXIT STATUS\n0 done; 1 other failure; 2 usage or configuration; 3 a broken input file; "
      "4 disk, memory, permission or device; 5 numerical stop; 130 or 143 stopped by a signal.\n";
  return page;
}

std::string bash_completion(const OptionTable& table) {
  std::string function = "_" + table.program();
  std::ranges::replace(function, '-', '_');
  std::string cases = cases_of(table);
  std::string words = flags_of(table);
  for (const OptionTable& command : table.commands()) {
    words += last_word(command.program()) + " ";
    for (const Option& option : command.options())
      if (table.find(option.name()) == nullptr &&
          words.find(option.flag() + " ") == std::string::npos) {
        words += option.flag() + " ";
        cases += completion_case(option);
      }
  }
  return fmt::format(
      "# bash completion of {0}: source it, or put it into bash-completion's folder\n"
      "{1}() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n"
      "  COMPREPLY=()\n"
      "  case $before in\n"
      "{2}"
      "  esac\n"
      "  case $word in\n"
      "    -*) mapfile -t COMPREPLY < <(compgen -W '{3}' -- \"$word\") ;;\n"
      "    *) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
      "  esac\n"
      "}}\n"
      "complete -o filenames -F {1} {0}\n",
      table.program(), function, cases, words);
}

}  // namespace pal
