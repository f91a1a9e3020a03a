#include "experiments/command_line/toml_file.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "runtime/error.h"
#include "runtime/file.h"

namespace pal {
namespace {

/// Looks for what the library does not bear: characters beyond ASCII where no text stands (its
/// table of letters has gaps without an answer), control characters, texts of several
/// lines, and names a.b.c of very many parts, for each of which it goes a call deeper.
class Screening {
 public:
  explicit Screening(std::string_view text) : text_(text) {}

  /// What is wrong, after the line where it is; empty if nothing is.
  std::string fault() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      const auto code = static_cast<uint8_t>(c);
      if ((code < 0x20 && c != '\t' && c != '\n' && c != '\r') || code == 0x7f)
        return found("a control character");
      if (c == '\n') {
        ++line_;
        in_comment_ = false;
      }
      if (in_comment_) continue;
      if (quote_ != '\0')
        pass_text(c);
      else if (code >= 0x80)
        return found("a character beyond ASCII; texts stand in quotes");
      else if (in_word_ && std::string_view("[{\"'").find(c) != std::string_view::npos)
        return found("a bracket or quote in a word");
      else if (text_.substr(at_).starts_with(std::string(3, c)) && (c == '"' || c == '\''))
        return found("a text of several lines, which no option has");
      else if (c == '"' || c == '\'')
        quote_ = c;
      else if (const char* what = outside(c))
        return found(what);
    }
    return {};
  }

 private:
  std::string found(const char* what) const { return fmt::format("{}: {}", line_, what); }

  /// Within a text: to its end, or that of its line.
  void pass_text(char c) {
    if (c == '\\' && quote_ == '"' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
    if (c == quote_ || c == '\n') quote_ = '\0';
  }

  const char* outside(char c) {
    constexpr int kMostDots = 256;
    constexpr std::string_view kEnds = "\n=,[]{}#";
    in_comment_ = c == '#';
    in_word_ =
        std::string_view(" \t\r\n=,]}#").find(c) == std::string_view::npos && c != '[' && c != '{';
    if (c == '.' && ++dots_ > kMostDots) return "a name of more than 256 parts";
    if (kEnds.find(c) != kEnds.npos) dots_ = 0;
    return nullptr;
  }

  std::string_view text_;
  char quote_ = '\0';  ///< that ends the text; 0 outside
  size_t at_ = 0;
  int64_t line_ = 1;
  int dots_ = 0;
  bool in_comment_ = false;
  bool in_word_ = false;
};

}  // namespace

toml::table read_toml(const std::string& path, const std::string& option) {
  const auto bytes = read_file(path, int64_t{1} << 20);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const std::string fault = Screening(text).fault(); !fault.empty())
    fail(ErrorKind::usage, "{}{}:{}", option, path, fault);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::usage, "{}{}:{}: {} (texts stand in quotes)", option, path,
         error.source().begin.line, error.description());
  }
}

}  // namespace pal
