#pragma once
#include <string>
#include <vector>

#include "data/pictures/image_file.h"

// A page in one file: no script, nothing from elsewhere, light and dark, for screens of any width
// and for paper.
namespace pal {

/// A text as HTML can hold it, also between quotes.
std::string html_text(const std::string& text);

/// A picture with what it shows in words (for those who cannot see it) and a caption; empty: none.
std::string html_picture(const Image& picture, const std::string& alt,
                         const std::string& caption = {});
/// The same of an SVG document.
std::string html_drawing(const std::string& svg, const std::string& alt,
                         const std::string& caption = {});

/// Pictures or drawings (HTML) beside each other, as many as the width holds, or at most two.
std::string html_grid(const std::string& figures, bool pairs = false);

/// A paragraph of plain text.
std::string html_paragraph(const std::string& text);
/// Lines of text as a terminal has them, such as commands.
std::string html_lines(const std::string& text);
/// A list of plain texts; empty for none.
std::string html_list(const std::vector<std::string>& texts);

/// A part of a page. `lead` says in one sentence what it shows and how to tell good from bad.
struct HtmlSection {
  std::string id;  ///< for links to it
  std::string title, lead;
  std::string body;  ///< HTML
};

/// The whole document: a title, a line below it, and the sections with a list of them.
std::string html_page(const std::string& title, const std::string& subtitle,
                      const std::vector<HtmlSection>& sections);

}  // namespace pal
