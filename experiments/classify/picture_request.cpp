#include "experiments/classify/picture_request.h"

#include <fmt/format.h>

#include "experiments/report/base64.h"
#include "runtime/json.h"
#include "runtime/text.h"

namespace pal {
namespace {

/// What is wrong with the `id`, which the answer repeats if nothing is.
std::string take_id(const nlohmann::json& id, PictureRequest& request) {
  const bool fits = id.is_number_integer() ||
                    (id.is_string() && id.get_ref<const std::string&>().size() <= kMostIdBytes);
  if (!fits)
    return fmt::format("request: id: expected a whole number or a text of at most {} bytes",
                       kMostIdBytes);
  request.id = json_text(id);
  return {};
}

void take_picture(const nlohmann::json& image, PictureRequest& request) {
  if (!image.is_string()) {
    request.error = "request: image: expected a text, base64 of a PNG or JPEG file";
    return;
  }
  auto bytes = base64_bytes(image.get_ref<const std::string&>());
  if (!bytes)
    request.error = "request: image: not base64 (digits A-Z a-z 0-9 + /, filled up with =)";
  else if (bytes->empty())
    request.error = "request: image: no bytes";
  else
    request.picture = std::move(*bytes);
}

}  // namespace

PictureRequest parse_request(std::string_view line) {
  if (!line.starts_with('{')) return request_by_name(line);
  PictureRequest request;
  const nlohmann::json json = parse_json(line);
  if (!json.is_object()) {
    request.error = "request: begins with { and is no JSON object (a name may begin with ./{)";
    return request;
  }
  if (const auto id = json.find("id"); id != json.end()) request.error = take_id(*id, request);
  for (const auto& [key, value] : json.items())
    if (request.error.empty() && key != "id" && key != "file" && key != "image")
      request.error = fmt::format("request: key \"{}\": expected file or image, and perhaps id",
                                  one_line(key.substr(0, kMostIdBytes)));
  const auto file = json.find("file");
  const auto image = json.find("image");
  if (request.error.empty() && (file == json.end()) == (image == json.end()))
    request.error = "request: expected either file or image";
  if (!request.error.empty()) return request;
  if (image != json.end()) {
    take_picture(*image, request);
  } else if (file->is_string()) {
    PictureRequest named = request_by_name(file->get_ref<const std::string&>());
    request.file = std::move(named.file);
    request.error = std::move(named.error);
  } else {
    request.error = "request: file: expected a text, the name of a picture";
  }
  return request;
}

PictureRequest request_by_name(std::string_view name) {
  PictureRequest request;
  if (name.size() > kMostNameBytes)
    request.error =
        fmt::format("a name of {} bytes, expected at most {}", name.size(), kMostNameBytes);
  else
    request.file = name;
  return request;
}

}  // namespace pal
