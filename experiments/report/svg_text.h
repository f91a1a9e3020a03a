#pragma once
#include <string>

#include "data/pictures/image_file.h"

namespace pal {

/// A text as SVG can hold it.
std::string svg_text(const std::string& text);

/// A whole picture of so many pixels on white, from what is drawn in it.
std::string svg_picture(int width, int height, const std::string& content);

/// A picture as a data: address, which SVG and HTML can hold.
std::string data_address(const Image& picture);
/// The same of an SVG document.
std::string data_address(const std::string& svg);

}  // namespace pal
