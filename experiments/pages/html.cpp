#include "experiments/pages/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "experiments/report/svg_text.h"

namespace pal {
namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --ink: #1b1b1b; --faint: #5c5c5c; --line: #d5d5d5; --ground: #fff; --card: #f6f6f4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e6; --faint: #a9a9a5; --line: #444; --ground: #161616; --card: #212120; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 60rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 0; } h2 { font-size: 1.25rem; margin: 2.6rem 0 0.2rem; }
.sub, .lead, figcaption, .note { color: var(--faint); } .lead { margin: 0 0 0.8rem; }
nav { margin: 1rem 0; padding: 0.6rem 0.9rem; background: var(--card); border-radius: 6px; } nav a { margin-right: 1rem; white-space: nowrap; }
a { color: inherit; } ul { padding-left: 1.2rem; } li { margin: 0.25rem 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; margin: 0.6rem 0; }
.note { margin: 0 0 0.8rem; font-size: 0.9rem; }
th, td { padding: 0.22rem 0.55rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; } th.text, td.text { text-align: left; } .long { white-space: normal; } th { font-weight: 600; }
.grid { display: flex; flex-wrap: wrap; gap: 0 1rem; } .grid figure { flex: 1 1 17rem; max-width: 19rem; } .pairs figure { flex: 1 1 24rem; max-width: 29rem; }
figure { margin: 0.9rem 0; } figure img { max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 4px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.85rem; }
figcaption { font-size: 0.9rem; }
@media (prefers-color-scheme: dark) { figure img { filter: brightness(0.86); } }
@media (max-width: 40rem) { body { padding: 0.5rem 0.7rem 3rem; } table { font-size: 0.82rem; } th, td { padding: 0.2rem 0.4rem; } }
@media print { body { max-width: none; font-size: 11pt; } nav { display: none; } figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
)css";

std::string figure_of(const std::string& address, const std::string& alt,
                      const std::string& caption) {
  return fmt::format("<figure><img src=\"{}\" alt=\"{}\">{}</figure>\n", address, html_text(alt),
                     caption.empty()
                         ? std::string()
                         : fmt::format("<figcaption>{}</figcaption>", html_text(caption)));
}

}  // namespace

std::string html_text(const std::string& text) {
  std::string safe;
  for (const char c : svg_text(text)) {
    if (c == '"')
      safe += "&quot;";
    else
      safe += c;
  }
  return safe;
}

std::string html_picture(const Image& picture, const std::string& alt, const std::string& caption) {
  return figure_of(data_address(picture), alt, caption);
}

std::string html_drawing(const std::string& svg, const std::string& alt,
                         const std::string& caption) {
  return figure_of(data_address(svg), alt, caption);
}

std::string html_grid(const std::string& figures, bool pairs) {
  return fmt::format("<div class=\"grid{}\">{}</div>\n", pairs ? " pairs" : "", figures);
}

std::string html_paragraph(const std::string& text) {
  return fmt::format("<p>{}</p>\n", html_text(text));
}

std::string html_lines(const std::string& text) {
  std::string lines = "<pre>";
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find('\n', first), text.size());
    lines += html_text(text.substr(first, end - first)) + "\n";
    first = end + 1;
  }
  return lines + "</pre>\n";
}

std::string html_list(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  std::string list = "<ul>\n";
  for (const std::string& text : texts)
    fmt::format_to(std::back_inserter(list), "<li>{}</li>\n", html_text(text));
  return list + "</ul>\n";
}

std::string html_page(const std::string& title, const std::string& subtitle,
                      const std::vector<HtmlSection>& sections) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>{2}</style>\n</head>\n<body>\n<h1>{0}</h1>\n"
      "<p class=\"sub\">{1}</p>\n<nav aria-label=\"Sections\">\n",
      html_text(title), html_text(subtitle), kStyle);
  const auto out = std::back_inserter(text);
  for (const HtmlSection& section : sections)
    fmt::format_to(out, "<a href=\"#{}\">{}</a>\n", section.id, html_text(section.title));
  text += "</nav>\n";
  for (const HtmlSection& section : sections)
    fmt::format_to(out,
                   "<section id=\"{}\">\n<h2>{}</h2>\n<p class=\"lead\">{}</p>\n{}</section>\n",
                   section.id, html_text(section.title), html_text(section.lead), section.body);
  return text + "</body>\n</html>\n";
}

}  // namespace pal
